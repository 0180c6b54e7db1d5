"""A newer program in the spare slot: nothing of it is installed before its signed list, and every file by that list, was found good.

The list is that of firmware_image.py, signed by one of the acquirer's keys that are trusted now. What is no newer than the program that
runs is refused: nobody brings an old weakness back. On a terminal without slots the package manager installs, and this only judges.
"""

from firmware_agent import VERSION
from firmware_agent.boot.slots import Slots, slot_of
from firmware_agent.boot.versions import is_newer
from firmware_agent.selftest.firmware_image import ManifestError, compare, manifest_of
from hal.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.terminal import Terminal
    from hal.clock import Clock
    from hal.files import Files
    from hal.secure_element import SecureElement

# Why an update is refused, with those of firmware_image.py.
REFUSALS = ("nothing_there", "manifest_wrong", "not_newer", "other_board", "file_missing", "file_changed", "file_added", "not_judged")


class UpdateError(Exception):
    """code: REFUSALS; the message is for the log."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(detail)
        self.code = code


async def judged(files: "Files", element: "SecureElement", keys: "list[bytes]", clock: "Clock", board: str, running: str = VERSION) -> str:
    """The version of the program in `files`, found whole, signed, for this board and newer than the one that runs. Changes nothing. Raises
    UpdateError.
    """
    code, detail = "", ""
    try:
        manifest = await manifest_of(files, element, keys)
        if manifest is None:
            raise UpdateError("nothing_there")
        version, listed = manifest
        if not _is_newer(version, running):
            raise UpdateError("not_newer", "version %s, and %s runs" % (version, running))
        if "boards/%s/board.json" % board not in listed:
            raise UpdateError("other_board", "nothing for " + board)
        code, detail, _ = await compare(files, listed, clock)
    except ManifestError as error:
        code, detail = "manifest_wrong", str(error)
    except DeviceError as error:
        code, detail = "not_judged", str(error)
    except OSError as error:  # there is no such folder
        code, detail = "nothing_there", repr(error)
    if code:
        raise UpdateError(code, detail)
    return version


async def judge(terminal: "Terminal") -> str:
    """The version that lies ready in the spare slot; the acquirer is told, but of nothing there. Raises UpdateError, StoreError."""
    hal = terminal.hal
    if hal.spare is None:
        raise UpdateError("nothing_there")
    try:
        version = await judged(hal.spare, hal.secure_element, terminal.identity.acquirer_keys, hal.clock, hal.board)
    except UpdateError as error:
        terminal.log("update refused: %s %s" % (error.code, error))
        if error.code != "nothing_there":
            terminal.tell([("event", {"name": "update_refused", "detail": ("%s %s" % (error.code, error)).strip()})])
        raise
    terminal.log("update %s is good" % version)
    terminal.tell([("event", {"name": "update_verified", "detail": version})])
    return version


async def install(terminal: "Terminal") -> None:
    """Judge once more what lies in the spare slot now, and have the next start try it. Raises UpdateError, DeviceError: nothing changes."""
    version = await judge(terminal)
    spare = terminal.hal.spare
    assert spare is not None
    Slots(terminal.hal.storage).give_trial(slot_of(spare.root))
    terminal.log("update %s on trial from the next start" % version)


def settle(terminal: "Terminal") -> None:
    """At a good start: what was on trial stays, or has given way; the acquirer is told. Raises DeviceError."""
    hal = terminal.hal
    if hal.spare is None or hal.program is None:
        return
    slots, running = Slots(hal.storage), slot_of(hal.program.root)
    outcome = slots.outcome(running)
    if outcome:
        terminal.tell([("event", {"name": outcome, "detail": "version %s runs" % VERSION})])
        terminal.log("%s: version %s runs" % (outcome, VERSION))
        slots.settle(running)


def _is_newer(version: str, running: str) -> bool:
    try:
        return is_newer(version, running)
    except ValueError:
        return False  # what is no version is newer than none
