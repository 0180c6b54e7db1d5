"""Tasks of the phases in which a person looks, listens, presses keys and holds things to the terminal. They do the work and know no
words.
"""

from firmware_agent.card_numbers import masked
from firmware_agent.selftest.phases import NOT_ANSWERED
from hal.device import HEALTH_FAIL, HEALTH_NOT_RUN, HEALTH_SUCCESS, Health
from hal.errors import E_FAILURE, E_TIMEOUT, DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.selftest.subject import Person, Subject
    from hal.card_reader import CardReader
    from hal.keypad import Keypad

KEY_WAIT_MS = 10000  # for the next key of the keypad's test
HOLD_WAIT_MS = 15000  # for the keys that are to be held together
PATTERN_MS = 1500  # that one colour stands, unless a key is pressed
SCAN_TIMEOUT_MS = 30000
CARD_TIMEOUT_MS = 30000
TONE_HZ = 2700  # where small piezos are loudest
TONE_MS = 400
PAYMENT_TEST = "payment.test"  # the check that the agent brings, on a terminal with a payment application

# What a person is shown, and how many answers there are to choose from: 0 where it only says what to do.
PAGES = {
    "display.begin": 1,
    "display.seen": 4,
    "keypad.keys": 0,
    "keypad.hold": 0,
    "keypad.release": 0,
    "printer.running": 0,
    "printer.seen": 2,
    "scanner.hold": 0,
    "card_reader.hold": 0,
    "payment.running": 0,
    "sounder.begin": 1,
    "sounder.heard": 2,
}
NO = 2  # of two answers

COLOURS = (0xFF0000, 0x00FF00, 0x0000FF, 0xFFFFFF, 0x000000)
TWO_COLOURS = (0xFFFFFF, 0x000000)
# What the person answers to "what did you see?", by number; 1 is: every colour, even.
SEEN_LINES, SEEN_WRONG_COLOURS, SEEN_DARK = 2, 3, 4
CAUSES_SEEN = {SEEN_LINES: "lines", SEEN_WRONG_COLOURS: "wrong_colours", SEEN_DARK: "dark"}

# SELECT of the proximity payment environment '2PAY.SYS.DDF01' (EMV Contactless Book B), with Le: some cards answer 6700 without it.
# Nothing is read behind it: no application is selected, and no record that could hold a card number is touched.
SELECT_PPSE = b"\x00\xa4\x04\x00\x0e2PAY.SYS.DDF01\x00"
SW_SUCCESS = b"\x90\x00"
SW_NOT_FOUND = b"\x6a\x82"


def not_answered(kind: str) -> Health:
    """Nobody answered: the phase was begun and not brought to its end."""
    return Health(HEALTH_NOT_RUN, kind, NOT_ANSWERED)


def failed(kind: str, cause: str, code: int = E_FAILURE, detail: str = "") -> Health:
    return Health(HEALTH_FAIL, kind, cause, code, detail=detail)


def person_of(subject: "Subject") -> "Person":
    """The engine runs none of these without one."""
    assert subject.person is not None
    return subject.person


async def see_patterns(subject: "Subject") -> Health:
    """Show each colour on all of the display, and ask what was seen."""
    person = person_of(subject)
    display = subject.hal.display
    assert display is not None
    if not await person.ask("display.begin"):
        return not_answered("display")
    for colour in COLOURS if display.level >= 2 else TWO_COLOURS:
        await person.look(colour, PATTERN_MS)
    answer = await person.ask("display.seen")
    if answer in CAUSES_SEEN:
        return failed("display", CAUSES_SEEN[answer])
    return Health(HEALTH_SUCCESS, "display") if answer else not_answered("display")


async def press_keys(subject: "Subject") -> Health:
    """Each key once, in any order. What is missing after a while is dead, or its line is."""
    person = person_of(subject)
    keypad = subject.hal.keypad
    assert keypad is not None
    left = list(keypad.keys)
    pressed = 0
    while left:
        person.show("keypad.keys", keys=" ".join(left))
        key = await person.key(KEY_WAIT_MS)
        if not key:
            break
        pressed += 1
        if key in left:
            left.remove(key)
    if left:  # one that was unplugged meanwhile has no dead keys
        health: Health = await keypad.check_health()
        if health.cause == "unplugged":
            return health
    if not pressed:
        return not_answered("keypad")
    if left:
        cause, detail = _open_line(keypad, left)
        return failed("keypad", cause, detail=detail)
    measurements = {"bounces": keypad.bounces} if keypad.level >= 2 else {}
    return Health(HEALTH_SUCCESS, "keypad", measurements=measurements)


def _open_line(keypad: "Keypad", dead: "list[str]") -> "tuple[str, str]":
    """What keys that do not close have in common: (cause, its names)."""
    if keypad.level >= 2:
        rows = keypad.layout
        for number, row in enumerate(rows):
            if sorted(row) == sorted(dead):
                return "row_open", "row %d" % (number + 1)
        for number in range(len(rows[0])):
            if sorted([row[number] for row in rows]) == sorted(dead):
                return "column_open", "column %d" % (number + 1)
    return "key_dead", " ".join(dead)


async def hold_keys(subject: "Subject") -> Health:
    """Three keys at the corners of a rectangle, held together: a fourth must not show."""
    person = person_of(subject)
    keypad = subject.hal.keypad
    assert keypad is not None
    if keypad.level < 2:
        return Health(HEALTH_NOT_RUN, "keypad", "absent", detail="the keypad does not tell which keys are down")
    rows = keypad.layout
    corners = (rows[0][0], rows[0][1], rows[1][0])
    phantom = rows[1][1]
    clock = subject.hal.clock
    person.show("keypad.hold", keys=" ".join(corners))
    until_ms = clock.monotonic_ms() + HOLD_WAIT_MS
    held: tuple[str, ...] = ()
    while clock.monotonic_ms() < until_ms:
        held = keypad.down()
        if all(key in held for key in corners):
            break
        await clock.sleep_ms(20)
    else:
        return not_answered("keypad")
    found = Health(HEALTH_SUCCESS, "keypad") if phantom not in held else failed("keypad", "ghosting", detail="%s shows too" % phantom)
    person.show("keypad.release")
    while keypad.down() and clock.monotonic_ms() < until_ms + HOLD_WAIT_MS:
        await clock.sleep_ms(20)
    while await person.key(1):  # what was held is not an answer to the next page
        pass
    return found


async def read_slip(subject: "Subject") -> Health:
    """Print a slip, and ask whether it can be read."""
    person = person_of(subject)
    assert subject.print_sample is not None
    person.show("printer.running")
    try:
        await subject.print_sample()
    except DeviceError as error:
        return failed_as("printer", error)
    answer = await person.ask("printer.seen")
    if answer == NO:
        return failed("printer", "not_readable")
    return Health(HEALTH_SUCCESS, "printer") if answer else not_answered("printer")


async def read_code(subject: "Subject") -> Health:
    """Read any one code. What it says is kept to be looked at: it may be a card number that somebody has printed as a code."""
    person = person_of(subject)
    scanner = subject.hal.scanner
    assert scanner is not None
    person.show("scanner.hold")
    try:
        code = await scanner.scan(SCAN_TIMEOUT_MS)
    except DeviceError as error:
        return failed_as("scanner", error)
    if code is None:
        return failed("scanner", "no_code", E_TIMEOUT)
    return Health(HEALTH_SUCCESS, "scanner", detail=masked(code))


async def select_card(subject: "Subject") -> Health:
    """Find a card and select its payment environment. No money moves, and no card number is read."""
    person = person_of(subject)
    reader = subject.hal.card_reader
    assert reader is not None
    person.show("card_reader.hold")
    try:
        if not await reader.find_card(CARD_TIMEOUT_MS):
            return failed("card_reader", "no_card", E_TIMEOUT)
        answer = await _select(reader)
    except DeviceError as error:
        return failed_as("card_reader", error)
    if answer[-2:] == SW_SUCCESS:
        return Health(HEALTH_SUCCESS, "card_reader")
    # The reader works, for the card answered; but this card cannot show that it pays.
    return failed("card_reader", "not_a_payment_card" if answer[-2:] == SW_NOT_FOUND else "card_refused", detail=answer[-2:].hex())


async def pay(subject: "Subject") -> Health:
    """A payment without money: the card, and where there is a payment application, a sign-in, an echo and a sale that is reversed."""
    health = await select_card(subject)
    test = subject.checks.get(PAYMENT_TEST)
    if health.outcome != HEALTH_SUCCESS or test is None:
        return health
    person_of(subject).show("payment.running")
    found = await test()
    if found.outcome == HEALTH_FAIL:
        return Health(HEALTH_FAIL, "card_reader", found.cause, found.code, found.extended, found.detail)
    return health


async def _select(reader: "CardReader") -> bytes:
    """The card's answer; the card is released whatever happens, and what went wrong first is what is raised."""
    answered = False
    try:
        answer = await reader.exchange(SELECT_PPSE)
        answered = True
    finally:
        try:
            await reader.release_card()
        except DeviceError:
            if answered:
                raise
    return answer


async def hear_tone(subject: "Subject") -> Health:
    """Sound a tone, and ask whether it was heard."""
    person = person_of(subject)
    sounder = subject.hal.sounder
    assert sounder is not None
    if not await person.ask("sounder.begin"):
        return not_answered("sounder")
    await sounder.tone(TONE_HZ, TONE_MS)
    answer = await person.ask("sounder.heard")
    if answer == NO:
        return failed("sounder", "not_heard")
    return Health(HEALTH_SUCCESS, "sounder") if answer else not_answered("sounder")


def failed_as(kind: str, error: DeviceError) -> Health:
    """The Health that an error stands for."""
    cause = error.cause or ("no_answer" if error.code == E_TIMEOUT else "check_failed")
    return Health(HEALTH_FAIL, kind, cause, error.code, error.extended, error.detail)
