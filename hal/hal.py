"""The terminal as the agent sees it: its devices, each there because the part is listed on the board."""

from hal.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.card_reader import CardReader
    from hal.clock import Clock
    from hal.device import Device
    from hal.display import Display
    from hal.files import Files
    from hal.keypad import Keypad
    from hal.network import Network
    from hal.payment import Payment
    from hal.printer import Printer
    from hal.scanner import Scanner
    from hal.secure_element import SecureElement
    from hal.sounder import Sounder
    from hal.storage import Storage
    from hal.watchdog import Watchdog

# In the order in which they are brought up: what the others need, or what can tell of their failure, first.
KINDS = ("clock", "storage", "secure_element", "display", "keypad", "printer", "card_reader", "scanner", "sounder", "network", "payment")


class Hal:
    """clock, storage and secure_element are on every terminal; any other device may be None."""

    def __init__(
        self,
        board: str,
        hardware_id: str,
        clock: "Clock",
        storage: "Storage",
        secure_element: "SecureElement",
        display: "Display | None" = None,
        keypad: "Keypad | None" = None,
        printer: "Printer | None" = None,
        card_reader: "CardReader | None" = None,
        scanner: "Scanner | None" = None,
        network: "Network | None" = None,
        sounder: "Sounder | None" = None,
        buses: "dict[str, list[str]] | None" = None,
        watchdog: "Watchdog | None" = None,
        program: "Files | None" = None,
        spare: "Files | None" = None,
        payment: "Payment | None" = None,
    ) -> None:
        self.board = board  # for reports; nothing may branch on it
        self.hardware_id = hardware_id
        self.clock = clock
        self.storage = storage
        self.secure_element = secure_element
        self.display = display
        self.keypad = keypad
        self.printer = printer
        self.card_reader = card_reader
        self.scanner = scanner
        self.network = network
        self.payment = payment
        self.sounder = sounder
        self.buses = buses or {}  # name -> kinds of the devices on it: what fails together
        self.watchdog = watchdog
        self.program = program  # the files of the program itself
        self.spare = spare  # the folder for a newer one; None where the terminal does not install it itself

    def devices(self) -> "list[Device]":
        """The devices there are, in the order of KINDS."""
        return [getattr(self, kind) for kind in KINDS if getattr(self, kind) is not None]

    async def bring_up(self, kinds: "tuple[str, ...]" = KINDS) -> "list[DeviceError]":
        """Open, claim and enable each device of these kinds. One that fails keeps its error for its health; the rest goes on.

        Gives the errors met, in the order of KINDS.
        """
        errors = []
        for device in self.devices():
            if device.kind not in kinds:
                continue
            try:
                if not device.claimed:
                    device.open()
                    device.claim()
                await device.enable()
            except DeviceError as error:
                errors.append(error)
        return errors


def buses_of(parts: "dict[str, dict[str, object]]") -> "dict[str, list[str]]":
    """Bus -> the kinds of the devices on it, of the parts of a board.json."""
    buses: dict[str, list[str]] = {}
    for kind in KINDS:
        if kind in parts and "bus" in parts[kind]:
            buses.setdefault(str(parts[kind]["bus"]), []).append(kind)
    return buses
