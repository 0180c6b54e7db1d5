"""Error numbers and health levels of UnifiedPOS, and the one exception that drivers raise.

Source of all numbers: UnifiedPOS as bound by JavaPOS (jpos/JposConst, POSPrinterConst, SmartCardRWConst).
"""

S_CLOSED = 1
S_IDLE = 2
S_BUSY = 3
S_ERROR = 4

CH_INTERNAL = 1  # no visible or physical effect
CH_EXTERNAL = 2  # may print, sound or light up
CH_INTERACTIVE = 3  # asks a person

SUCCESS = 0
E_CLOSED = 101
E_CLAIMED = 102
E_NOTCLAIMED = 103
E_NOSERVICE = 104
E_DISABLED = 105
E_ILLEGAL = 106
E_NOHARDWARE = 107
E_OFFLINE = 108
E_NOEXIST = 109
E_EXISTS = 110
E_FAILURE = 111
E_TIMEOUT = 112
E_BUSY = 113
E_EXTENDED = 114

# Extended codes are numbered by category; the driver that raises one says which category it is by its kind.
EPTR_COVER_OPEN = 201
EPTR_REC_EMPTY = 203
ESC_READ = 201
ESC_TORN = 203
ESC_NO_CARD = 204

_NAMES = {
    SUCCESS: "SUCCESS",
    E_CLOSED: "E_CLOSED",
    E_CLAIMED: "E_CLAIMED",
    E_NOTCLAIMED: "E_NOTCLAIMED",
    E_NOSERVICE: "E_NOSERVICE",
    E_DISABLED: "E_DISABLED",
    E_ILLEGAL: "E_ILLEGAL",
    E_NOHARDWARE: "E_NOHARDWARE",
    E_OFFLINE: "E_OFFLINE",
    E_NOEXIST: "E_NOEXIST",
    E_EXISTS: "E_EXISTS",
    E_FAILURE: "E_FAILURE",
    E_TIMEOUT: "E_TIMEOUT",
    E_BUSY: "E_BUSY",
    E_EXTENDED: "E_EXTENDED",
}

_EXTENDED_NAMES = {
    "printer": {EPTR_COVER_OPEN: "EPTR_COVER_OPEN", EPTR_REC_EMPTY: "EPTR_REC_EMPTY"},
    "card_reader": {ESC_READ: "ESC_READ", ESC_TORN: "ESC_TORN", ESC_NO_CARD: "ESC_NO_CARD"},
}


def error_name(code: int, kind: str = "", extended: int = 0) -> str:
    """The field's name of an error, the extended one where the category knows it: 'E_TIMEOUT', 'EPTR_REC_EMPTY'."""
    if code == E_EXTENDED:
        name = _EXTENDED_NAMES.get(kind, {}).get(extended)
        if name is not None:
            return name
    return _NAMES.get(code, "E_" + str(code))


class DeviceError(Exception):
    """A device could not do what it was asked.

    code: an E_ number; extended: the category's number when code is E_EXTENDED; kind: the contract ('printer');
    detail: one short sentence for a technician, never a secret; cause: the word that a health check would say ('paper_out'),
    '' where the code is all that is known.
    """

    def __init__(self, code: int, kind: str, detail: str = "", extended: int = 0, cause: str = "") -> None:
        self.code = code
        self.kind = kind
        self.detail = detail
        self.extended = extended
        self.cause = cause
        super().__init__(kind + ": " + self.name + (": " + detail if detail else ""))

    @property
    def name(self) -> str:
        return error_name(self.code, self.kind, self.extended)
