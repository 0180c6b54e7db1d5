"""Why a terminal is suspended: the twelve reasons as data, by the codes that merchants, technicians and acquirers use."""

# Remedies, in the words of XFS4IoT Common.ErrorEvent `action`.
REMEDY_RESET = "reset"
REMEDY_CONFIGURATION = "configuration"
REMEDY_CLEAR = "clear"
REMEDY_MAINTENANCE = "maintenance"
REMEDY_SUSPEND = "suspend"

# Who imposed a suspension: only he lifts it.
ACTOR_HOST = "HOST"  # the acquirer, by a signed order (nexo action trigger)
ACTOR_POI = "POI"  # the terminal itself, by what it found
ACTORS = (ACTOR_HOST, ACTOR_POI)


class ReasonKind:
    """number: on the wire; check: something can be looked at or tested on the spot; materials: M numbers of the materials that may be asked
    for; review: documents are reviewed before it is lifted; appeal: against a refusal of that; registration: new keys are due when it was
    ordered; found_by_terminal: the terminal finds it itself; remedy: REMEDY_*.
    """

    def __init__(
        self,
        number: int,
        code: str,
        remedy: str,
        materials: "tuple[int, ...]" = (),
        check: bool = False,
        review: bool = False,
        appeal: bool = False,
        registration: bool = False,
        found_by_terminal: bool = False,
    ) -> None:
        self.number = number
        self.code = code
        self.remedy = remedy
        self.materials = materials
        self.check = check
        self.review = review
        self.appeal = appeal
        self.registration = registration
        self.found_by_terminal = found_by_terminal


REASON_KINDS = (
    ReasonKind(1, "maintenance", REMEDY_SUSPEND),
    ReasonKind(2, "hardware_fault", REMEDY_MAINTENANCE, (5, 8), check=True, found_by_terminal=True),
    ReasonKind(3, "software_fault", REMEDY_RESET, check=True, found_by_terminal=True),
    ReasonKind(4, "network_fault", REMEDY_CLEAR, check=True, found_by_terminal=True),
    ReasonKind(5, "account_issue", REMEDY_CONFIGURATION, (1, 2, 3, 7), check=True, review=True, found_by_terminal=True),
    ReasonKind(
        6,
        "violation",
        REMEDY_CONFIGURATION,
        (1, 2, 3, 4, 6, 7, 9),
        check=True,
        review=True,
        appeal=True,
        registration=True,
        found_by_terminal=True,
    ),
    ReasonKind(
        7,
        "compliance",
        REMEDY_CONFIGURATION,
        (1, 3, 4, 6, 7, 9),
        check=True,
        review=True,
        appeal=True,
        registration=True,
        found_by_terminal=True,
    ),
    ReasonKind(
        8, "contract_ended", REMEDY_CONFIGURATION, (1, 2, 3, 4, 5, 6), check=True, review=True, registration=True, found_by_terminal=True
    ),
    ReasonKind(9, "regulation_change", REMEDY_CONFIGURATION, (1, 2, 3, 4, 6), check=True, review=True, registration=True),
    ReasonKind(10, "operator_error", REMEDY_CLEAR, check=True),
    ReasonKind(11, "dormant", REMEDY_CONFIGURATION, (1, 2, 3, 4, 5, 6), check=True, review=True, registration=True),
    ReasonKind(12, "tamper", REMEDY_MAINTENANCE, review=True, registration=True, found_by_terminal=True),
)

_TYPES = (int, str, int, int, str, str, str)  # of a reason in the store
_TOLD = (int, int, int, int, str, str, str)  # in a message


def reason_kind(code: "str | int") -> ReasonKind:
    """The kind by its code or its number. Raises KeyError with what was asked."""
    for kind in REASON_KINDS:
        if kind.code == code or kind.number == code:
            return kind
    raise KeyError(code)


class Reason:
    """One reason that holds. actor: ACTOR_*; since, until: Unix seconds, 0 = not known; component: the device that was found broken,
    or ''; case: the acquirer's case number, or ''; note: what the actor says of it, or ''.
    """

    def __init__(self, code: str, actor: str, since: int = 0, until: int = 0, component: str = "", case: str = "", note: str = "") -> None:
        self.code = code
        self.actor = actor
        self.since = since
        self.until = until
        self.component = component
        self.case = case
        self.note = note

    @property
    def kind(self) -> ReasonKind:
        return reason_kind(self.code)

    def same_cause(self, other: "Reason") -> bool:
        """Two reports of one cause: the later one replaces the earlier."""
        return self.code == other.code and self.actor == other.actor and self.component == other.component

    def to_list(self) -> "list[int | str]":
        return [self.kind.number, self.actor, self.since, self.until, self.component, self.case, self.note]

    def told(self) -> "list[int | str]":
        """As in a message: [number, actor, since, until, component, case, note], the actor by its place in ACTORS, without the acquirer's
        own words, which can be long, and without what is 0 or empty at the end.
        """
        values = self.to_list()
        values[1] = ACTORS.index(self.actor)
        if self.actor == ACTOR_HOST:
            values[6] = ""
        while not values[-1]:  # the number never is
            values.pop()
        return values

    @staticmethod
    def from_told(values: object) -> "Reason":
        """The reason that a message tells of. Raises ValueError for what is none; KeyError for one of a newer version."""
        if not isinstance(values, list) or not 1 <= len(values) <= 7:
            raise ValueError("not a reason: %r" % (values,))
        padded = values + [0, 0, 0, "", "", ""][len(values) - 1 :]
        if any(type(value) is not kind for value, kind in zip(padded, _TOLD)) or not 0 <= padded[1] < len(ACTORS):  # noqa: B905
            raise ValueError("not a reason: %r" % (values,))
        number, actor, since, until, component, case, note = padded
        if since < 0 or until < 0:
            raise ValueError("not a reason: %r" % (values,))
        return Reason(reason_kind(number).code, ACTORS[actor], since, until, component, case, note)

    @staticmethod
    def from_list(values: "list[int | str]") -> "Reason":
        """Raises KeyError, ValueError or TypeError for what `to_list` never wrote."""
        if len(values) != 7 or any(type(value) is not kind for value, kind in zip(values, _TYPES)):
            raise TypeError("a reason has another form")
        number, actor, since, until, component, case, note = values
        if actor not in (ACTOR_HOST, ACTOR_POI):
            raise ValueError("unknown actor " + repr(actor))
        return Reason(reason_kind(number).code, actor, since, until, component, case, note)  # type: ignore[arg-type]  # see _TYPES
