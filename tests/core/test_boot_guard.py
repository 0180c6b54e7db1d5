"""The boot guard: which starts count as failed, when safe mode comes and goes, and a file that no power cut spoils."""

from firmware_agent.boot.boot_guard import (
    BY_POWER,
    BY_RESET,
    BY_WATCHDOG,
    CAUSE_BOOT_LOOP,
    CAUSE_BROWNOUT,
    MOST_BYTES,
    MOST_CRASHES,
    MOST_POWER_LOSSES,
    NAMES,
    PAUSE_MAX_MS,
    PAUSE_MIN_MS,
    PAUSE_UNCOUNTED_MS,
    RECORD_BYTES,
    STAGE_DEVICES,
    STAGE_GOOD,
    STAGE_MEMORY,
    STAGE_SETTLED,
    STAGE_TESTING,
    STAGE_WORK,
    BootGuard,
)


class PowerCut(Exception):
    pass


class Medium:
    """The calls of hal.files in memory. cut_at: the power goes in that write, of which keep_bytes stay."""

    def __init__(self, files=None):
        self.files = {}
        for name, data in (files or {}).items():
            self.files[name] = bytearray(data)
        self.writes = 0
        self.cut_at = 0
        self.keep_bytes = 0
        self.broken = False

    def names(self):
        self._require()
        return sorted(self.files)

    def size(self, name):
        return len(self.files[name])

    def read(self, name, offset, length):
        return bytes(self.files[name][offset : offset + length])

    def append(self, name, data):
        self._require()
        self.writes += 1
        cut = self.writes == self.cut_at
        self.files.setdefault(name, bytearray()).extend(data[: self.keep_bytes] if cut else data)
        if cut:
            raise PowerCut()

    def remove(self, name):
        self._require()
        self.writes += 1
        if self.writes == self.cut_at and not self.keep_bytes:
            raise PowerCut()
        del self.files[name]
        if self.writes == self.cut_at:
            raise PowerCut()

    def _require(self):
        if self.broken:
            raise OSError(5)


def start(medium, why):
    guard = BootGuard(medium)
    guard.count(why)
    return guard


def good(medium, why=BY_POWER):
    guard = start(medium, why)
    guard.reached(STAGE_DEVICES)
    guard.reached(STAGE_MEMORY)
    guard.reached(STAGE_WORK)
    guard.reached(STAGE_GOOD)
    return guard


def crash(medium, why, stage=STAGE_DEVICES):
    guard = start(medium, why)
    guard.reached(stage)
    guard.crashed("RuntimeError pn532.py:12")
    return guard


def in_safe_mode(cause=CAUSE_BOOT_LOOP):
    """A medium, and the guard of the first safe start on it."""
    medium = Medium()
    if cause == CAUSE_BOOT_LOOP:
        why = BY_POWER
        for _ in range(MOST_CRASHES):
            crash(medium, why)
            why = BY_RESET
        guard = start(medium, BY_RESET)
    else:
        for _ in range(MOST_POWER_LOSSES):
            start(medium, BY_POWER)
        guard = start(medium, BY_POWER)
    assert guard.safe and guard.cause == cause
    return medium, guard


def test_the_first_start_ever_is_a_normal_one():
    guard = start(Medium(), BY_POWER)
    assert guard.counted and not guard.safe and guard.pause_ms == 0
    assert (guard.number, guard.crashes, guard.power_losses, guard.cause) == (1, 0, 0, "")


def test_safe_mode_comes_after_the_third_crash_and_not_before():
    for ends in (BY_RESET, BY_WATCHDOG):
        medium = Medium()
        why = BY_POWER
        for number in range(MOST_CRASHES):
            guard = start(medium, why)
            assert not guard.safe and guard.crashes == number
            why = ends
        guard = start(medium, why)
        assert guard.safe and guard.cause == CAUSE_BOOT_LOOP and guard.crashes == MOST_CRASHES and guard.power_losses == 0


def test_a_crash_that_was_recorded_is_one_even_if_the_plug_was_pulled_after_it():
    medium = Medium()
    for _ in range(MOST_CRASHES):
        crash(medium, BY_POWER)
    guard = start(medium, BY_POWER)
    assert guard.cause == CAUSE_BOOT_LOOP and guard.power_losses == 0


def test_power_losses_are_told_apart_from_crashes():
    medium = Medium()
    for number in range(MOST_POWER_LOSSES):
        guard = start(medium, BY_POWER)
        assert not guard.safe and guard.power_losses == number
        guard.reached(STAGE_WORK)  # a clerk pulls the plug during the self-test
    guard = start(medium, BY_POWER)
    assert guard.cause == CAUSE_BROWNOUT and guard.crashes == 0 and guard.last_stage == STAGE_WORK


def test_ten_short_but_good_uptimes_set_nothing_off():
    medium = Medium()
    for number in range(10):
        guard = good(medium)
        assert not guard.safe and guard.crashes == 0 and guard.power_losses == 0
        assert guard.number == number + 1


def test_one_good_start_ends_both_rows():
    medium = Medium()
    why = BY_POWER
    for _ in range(MOST_CRASHES - 1):
        crash(medium, why)
        why = BY_RESET
    start(medium, BY_RESET)  # the plug is pulled in it
    guard = good(medium, BY_POWER)
    assert (guard.crashes, guard.power_losses) == (MOST_CRASHES - 1, 1)
    guard = start(medium, BY_POWER)
    assert (guard.crashes, guard.power_losses, guard.last_crash) == (0, 0, "")


def test_a_crash_between_power_losses_ends_no_row():
    """Whoever pulls the plug of a terminal that crashes again and again does not hide the crashes."""
    medium = Medium()
    why = BY_POWER
    for number in range(MOST_CRASHES):
        guard = crash(medium, why)
        assert guard.crashes == number and not guard.safe
        start(medium, BY_RESET)  # and the plug is pulled in this one
        why = BY_POWER
    guard = start(medium, BY_POWER)
    assert guard.cause == CAUSE_BOOT_LOOP


def test_what_crashes_soon_after_it_is_good_is_a_loop_too():
    medium = Medium()
    why = BY_POWER
    for number in range(MOST_CRASHES):
        guard = good(medium, why)
        assert guard.crashes == number
        why = BY_RESET
    assert start(medium, BY_WATCHDOG).cause == CAUSE_BOOT_LOOP


def test_a_crash_once_in_a_while_is_no_loop():
    medium = Medium()
    why = BY_POWER
    for _ in range(3 * MOST_CRASHES):
        guard = good(medium, why)
        guard.reached(STAGE_SETTLED)
        why = BY_RESET
        assert not guard.safe
    assert start(medium, BY_RESET).crashes == 1


def test_a_restart_on_purpose_counts_as_nothing():
    medium = Medium()
    for _ in range(2 * MOST_CRASHES):
        guard = start(medium, BY_RESET)
        guard.restarting(normally=False)
    guard = start(medium, BY_RESET)
    assert (guard.crashes, guard.power_losses, guard.safe) == (0, 0, False)


def test_a_start_tells_how_far_the_last_one_came_and_what_ended_it():
    medium = Medium()
    crash(medium, BY_POWER, STAGE_MEMORY)
    guard = start(medium, BY_RESET)
    assert guard.last_stage == STAGE_MEMORY
    assert guard.last_crash == "RuntimeError pn532.py:12 memory"
    guard.reached(STAGE_TESTING, "printer")
    guard = start(medium, BY_WATCHDOG)
    assert guard.last_crash == "watchdog testing printer"


def test_what_is_recorded_of_a_crash_is_short_and_printable():
    medium = Medium()
    guard = start(medium, BY_POWER)
    guard.crashed("\u505c\n" + "x" * 200)
    guard = start(medium, BY_RESET)
    assert guard.last_crash.startswith("??xxx") and len(guard.last_crash) <= RECORD_BYTES


def test_safe_mode_stays_for_as_long_as_nobody_asks_for_a_normal_start():
    for cause in (CAUSE_BOOT_LOOP, CAUSE_BROWNOUT):
        medium, guard = in_safe_mode(cause)
        for _ in range(5):  # people pull the plug: that is no wish
            guard.reached(STAGE_GOOD)
            guard = start(medium, BY_POWER)
            assert guard.safe and guard.cause == cause and guard.pause_ms == 0 and not guard.link_failed


def test_a_normal_start_that_was_asked_for_is_one_try():
    for cause in (CAUSE_BOOT_LOOP, CAUSE_BROWNOUT):
        medium, guard = in_safe_mode(cause)
        guard.reached(STAGE_GOOD)
        guard.restarting(normally=True)
        guard = start(medium, BY_RESET)
        assert not guard.safe
        guard = start(medium, BY_RESET if cause == CAUSE_BOOT_LOOP else BY_POWER)
        assert guard.safe and guard.cause == cause


def test_a_try_that_is_good_ends_safe_mode():
    for cause in (CAUSE_BOOT_LOOP, CAUSE_BROWNOUT):
        medium, guard = in_safe_mode(cause)
        guard.restarting(normally=True)
        assert not good(medium, BY_RESET).safe
        guard = start(medium, BY_POWER)
        assert (guard.safe, guard.crashes, guard.power_losses) == (False, 0, 0)


def test_the_try_is_not_lost_when_the_power_goes_before_it():
    medium, guard = in_safe_mode()
    guard.restarting(normally=True)
    assert not start(medium, BY_POWER).safe


def test_a_safe_mode_that_fails_too_leaves_the_network_out_and_waits_longer_each_time():
    for why in (BY_RESET, BY_WATCHDOG, BY_POWER):
        medium, guard = in_safe_mode()
        pauses = []
        for _ in range(12):
            guard = start(medium, why)
            assert guard.safe and guard.link_failed
            pauses.append(guard.pause_ms)
        assert pauses[0] == PAUSE_MIN_MS and pauses[1] == 2 * PAUSE_MIN_MS and pauses[-1] == PAUSE_MAX_MS
        assert pauses == sorted(pauses)
        guard.reached(STAGE_GOOD)
        guard = start(medium, BY_POWER)
        assert guard.safe and guard.pause_ms == 0 and not guard.link_failed


def test_a_safe_mode_that_crashes_after_its_page_has_not_held():
    medium, guard = in_safe_mode()
    guard.reached(STAGE_GOOD)
    guard = start(medium, BY_RESET)
    assert guard.link_failed and guard.pause_ms == PAUSE_MIN_MS


def test_a_device_that_takes_the_terminal_with_it_while_a_person_tests_it_is_no_failed_safe_mode():
    medium, guard = in_safe_mode()
    guard.reached(STAGE_GOOD)
    guard.reached(STAGE_TESTING, "scanner")
    guard = start(medium, BY_WATCHDOG)
    assert guard.safe and guard.pause_ms == 0 and guard.last_crash == "watchdog testing scanner"


def test_a_row_longer_than_a_count_can_hold_goes_on():
    medium = Medium()
    start(medium, BY_POWER)
    for _ in range(600):
        guard = start(medium, BY_RESET)
    assert guard.safe and guard.pause_ms == PAUSE_MAX_MS


def test_the_files_stay_small_and_the_count_goes_on_over_them():
    medium = Medium()
    for number in range(1, 400):
        guard = good(medium)
        assert guard.number == number
        sizes = [len(medium.files[name]) for name in NAMES if name in medium.files]
        assert len(sizes) == 1 and sizes[0] <= MOST_BYTES + 8 * RECORD_BYTES


def test_files_of_others_are_left_alone():
    medium = Medium({"store.00000001": b"abc", "boots.2": b"x"})
    for _ in range(100):
        good(medium)
    assert medium.files["store.00000001"] == b"abc" and medium.files["boots.2"] == b"x"


def state(guard):
    return guard.number, guard.crashes, guard.power_losses, guard.safe, guard.pause_ms


def test_a_power_cut_at_any_byte_of_any_record_leaves_the_others_as_they_were():
    """The record that was cut off was not made; the one behind it is read, whatever is left of it."""
    for prepared in range(3):  # nothing yet; a crash; a row that is nearly full
        files = Medium()
        why = BY_POWER
        for _ in range(prepared):
            crash(files, why)
            why = BY_RESET
        kept = {name: bytes(data) for name, data in files.files.items()}
        whole = start(Medium(kept), why)
        for keep in range(RECORD_BYTES):
            medium = Medium(kept)
            medium.cut_at, medium.keep_bytes = 1, keep
            try:
                start(medium, why)
                raise AssertionError("no power cut")
            except PowerCut:
                pass
            assert state(start(medium, why)) == state(whole), keep
            guard = start(medium, BY_POWER)
            assert guard.number == whole.number + 1


def test_a_mark_that_is_cut_off_was_not_reached():
    for keep in (0, 1, 40, RECORD_BYTES - 1, RECORD_BYTES):
        medium = Medium()
        guard = start(medium, BY_POWER)
        medium.cut_at, medium.keep_bytes = medium.writes + 1, keep
        try:
            guard.reached(STAGE_GOOD)
            raise AssertionError("no power cut")
        except PowerCut:
            pass
        guard = start(medium, BY_POWER)
        assert guard.power_losses == (0 if keep == RECORD_BYTES else 1)
        assert good(medium).number == 3


def test_a_power_cut_at_any_byte_while_the_files_change_places_loses_no_row():
    full = Medium()
    crash(full, BY_POWER)
    while full.size(NAMES[0]) < MOST_BYTES:
        start(full, BY_RESET).restarting(normally=False)
    kept = {name: bytes(data) for name, data in full.files.items()}
    whole = start(Medium(kept), BY_RESET)
    assert whole.crashes == 1
    for write in (1, 2):  # the record in the new file; the removal of the old one
        for keep in range(RECORD_BYTES + 1):
            medium = Medium(kept)
            medium.cut_at, medium.keep_bytes = write, keep
            try:
                start(medium, BY_RESET)
                raise AssertionError("no power cut")
            except PowerCut:
                pass
            guard = start(medium, BY_POWER)
            written = write == 2 or keep == RECORD_BYTES
            assert guard.number == whole.number + (1 if written else 0)
            assert guard.crashes == 1 and guard.power_losses == (1 if written else 0)
            assert len(medium.files) == 1


def test_a_bit_that_rots_spoils_one_record_only():
    medium = Medium()
    crash(medium, BY_POWER)
    crash(medium, BY_RESET)
    data = medium.files[NAMES[0]]
    for offset in range(len(data)):
        data[offset] ^= 0x10
        guard = start(Medium({NAMES[0]: data}), BY_RESET)
        assert guard.counted and guard.crashes in (1, 2)
        data[offset] ^= 0x10


def test_files_of_noise_are_no_row_and_are_given_up():
    noise = bytes([(index * 73 + 11) & 255 for index in range(MOST_BYTES + 100)])
    medium = Medium({NAMES[0]: noise, NAMES[1]: noise})
    guard = start(medium, BY_RESET)
    assert guard.counted and not guard.safe
    assert start(medium, BY_RESET).crashes == 1
    assert sum([len(data) for data in medium.files.values()]) < MOST_BYTES


def test_a_medium_that_fails_ends_no_start_and_a_crash_is_slow():
    medium = Medium()
    crash(medium, BY_POWER)
    medium.broken = True
    guard = start(medium, BY_RESET)
    assert not guard.counted and not guard.safe and guard.pause_ms == PAUSE_UNCOUNTED_MS
    guard.reached(STAGE_GOOD)
    guard.crashed("OSError x.py:1")
    guard.restarting(normally=True)
    assert start(medium, BY_POWER).pause_ms == 0
