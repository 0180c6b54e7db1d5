"""What every device has: the UnifiedPOS life cycle, a health check, and the record of a failed bring-up.

open -> claim -> enable -> (use) -> disable -> release -> close. A driver writes `_bring_up`, `_shut_down` and
`_check_health`; the order of calls and its errors are held here, once.
"""

from hal.errors import (
    CH_INTERACTIVE,
    CH_INTERNAL,
    E_CLAIMED,
    E_CLOSED,
    E_DISABLED,
    E_ILLEGAL,
    E_NOTCLAIMED,
    S_CLOSED,
    S_ERROR,
    S_IDLE,
    SUCCESS,
    DeviceError,
    error_name,
)

# Outcomes of a health check, in the words of the Entity Attestation Token's measurement results (RFC 9711, 4.2.17).
HEALTH_SUCCESS = "success"
HEALTH_FAIL = "fail"
HEALTH_NOT_RUN = "not-run"  # the part gave no answer that could be judged: not a failure
HEALTH_ABSENT = "absent"


class Health:
    """What a health check found.

    outcome: HEALTH_*; code, extended: UnifiedPOS numbers; cause: one lower-case word ('paper_out', 'no_answer'),
    empty when nothing is wrong; detail: a short sentence for a technician; measurements: name with unit -> number.
    """

    def __init__(
        self,
        outcome: str,
        kind: str,
        cause: str = "",
        code: int = SUCCESS,
        extended: int = 0,
        detail: str = "",
        measurements: "dict[str, int] | None" = None,
    ) -> None:
        self.outcome = outcome
        self.kind = kind
        self.cause = cause
        self.code = code
        self.extended = extended
        self.detail = detail
        self.measurements = measurements or {}

    @property
    def error(self) -> str:
        return error_name(self.code, self.kind, self.extended)

    def __repr__(self) -> str:
        return "Health(%s, %s, %s, %s)" % (self.kind, self.outcome, self.cause, self.error)


class Device:
    """The life cycle. `kind` is the contract's name, `part` the part number as in board.json."""

    kind = ""
    part = ""
    level = 1  # the contract's level that this driver reaches

    def __init__(self) -> None:
        self.state = S_CLOSED
        self.claimed = False
        self.enabled = False
        self.bring_up_error: DeviceError | None = None

    def open(self) -> None:
        """Take the device into use; touches no hardware."""
        if self.state == S_CLOSED:
            self.state = S_IDLE

    def claim(self) -> None:
        """Take exclusive use. Raises DeviceError E_CLOSED, or E_CLAIMED when it is held already."""
        if self.state == S_CLOSED:
            raise DeviceError(E_CLOSED, self.kind, "claim before open")
        if self.claimed:
            raise DeviceError(E_CLAIMED, self.kind, "already claimed")
        self.claimed = True

    async def enable(self) -> None:
        """Bring the part up from whatever state a crash left it in.

        Raises DeviceError (E_NOTCLAIMED, or what bring-up met); the error stays in `bring_up_error` until an
        enable succeeds.
        """
        if not self.claimed:
            raise DeviceError(E_NOTCLAIMED, self.kind, "enable before claim")
        try:
            await self._bring_up()
        except DeviceError as error:
            self.bring_up_error = error
            self.state = S_ERROR
            raise
        self.bring_up_error = None
        self.state = S_IDLE
        self.enabled = True

    async def check_health(self, level: int = CH_INTERNAL) -> Health:
        """Test the part. level: CH_INTERNAL, CH_EXTERNAL or CH_INTERACTIVE.

        What the part answers, or fails to, is in the Health; an exception means the check itself could not be made.
        Raises DeviceError E_ILLEGAL (no such level), E_DISABLED (not enabled, and never failed to be).
        """
        if not CH_INTERNAL <= level <= CH_INTERACTIVE:
            raise DeviceError(E_ILLEGAL, self.kind, "health level %d is not 1..3" % level)
        if not self.enabled:
            error = self.bring_up_error
            if error is None:
                raise DeviceError(E_DISABLED, self.kind, "health check before enable")
            return self.failed(error, "bring_up")
        try:
            return await self._check_health(level)
        except DeviceError as error:
            return self.failed(error, "no_answer")

    def failed(self, error: DeviceError, cause: str) -> Health:
        """The Health that says what `error` said; `cause` where it names none itself."""
        return Health(HEALTH_FAIL, self.kind, error.cause or cause, error.code, error.extended, error.detail)

    def disable(self) -> None:
        if self.enabled:
            self._shut_down()
            self.enabled = False

    def release(self) -> None:
        self.disable()
        self.claimed = False

    def close(self) -> None:
        self.release()
        self.state = S_CLOSED

    def require_enabled(self) -> None:
        """Raises DeviceError E_DISABLED unless the device is enabled: first line of each method that does I/O."""
        if not self.enabled:
            raise DeviceError(E_DISABLED, self.kind, "not enabled")

    # For drivers to write.

    async def _bring_up(self) -> None:
        raise DeviceError(E_ILLEGAL, self.kind, "this driver has no bring-up")

    def _shut_down(self) -> None:
        """Leave the part quiet; nothing by default."""

    async def _check_health(self, level: int) -> Health:
        raise DeviceError(E_ILLEGAL, self.kind, "this driver has no health check")
