"""Measurements over many runs: what drifts towards a limit is told before it gets there, and nothing else is."""

from firmware_agent.messages.cbor import encode
from firmware_agent.selftest.phases import ERROR, FAIL, PASS, SKIP, Measure, Phase, Result
from firmware_agent.selftest.trends import AHEAD, KEPT, LEAST, PREFIX, follow, history, is_drifting
from firmware_agent.store import MAX_KEY_BYTES, Store
from tests.core.parts import Flash

HIGH = Measure("head_c", "overheated", high=60)
LOW = Measure("signal_dbm", "weak_signal", low=-90)
BOTH = Measure("drift_s", "jumped", -300, 300)
NOISE = (0, 3, -2, 1, -3, 2, 0, -1, 3, -3, 1, 2, -2, 0, 1, -1)


class Random:
    """The same numbers each time, on both runtimes (Knuth's MMIX generator, its upper bits)."""

    def __init__(self):
        self.state = 1

    def below(self, bound):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) & (1 << 64) - 1
        return (self.state >> 33) % bound


def line(first, step, count=KEPT):
    return [first + step * place for place in range(count)]


def opened():
    store = Store(Flash())
    store.open()
    return store


def ran(store, value, outcome=PASS, cause="", measure=HIGH):
    """One run of a phase with this measurement; its writes are carried out. Gives the result."""
    phase = Phase(1, "printer", "printer", 1, None, 1000, 0, (measure,))
    result = Result("printer", "printer", outcome, cause=cause, measurements={} if value is None else {measure.name: value})
    store.put_all(follow(store, phase, result) + [("other", b"")])
    return result


def test_what_rises_towards_its_upper_limit_is_told_before_it_gets_there():
    assert is_drifting(line(20, 2), HIGH)  # 50 now, 66 in eight runs
    assert not is_drifting(line(20, 1), HIGH)  # 35 now, 43 in eight runs
    assert not is_drifting(line(20, 2), LOW)
    assert is_drifting(line(0, 15), BOTH)


def test_what_falls_towards_its_lower_limit_is_told_before_it_gets_there():
    assert is_drifting(line(-50, -2), LOW)
    assert not is_drifting(line(-50, -1), LOW)
    assert not is_drifting(line(-50, -2), HIGH)
    assert is_drifting(line(0, -15), BOTH)


def test_the_warning_comes_as_many_runs_ahead_as_declared():
    first = None
    for count in range(LEAST, 40):
        values = line(0, 2, count)[-KEPT:]
        if first is None and is_drifting(values, HIGH):
            first = values[-1]
    assert first == 60 - 2 * AHEAD + 2


def test_what_moves_away_from_a_limit_is_no_drift():
    assert not is_drifting(line(59, -2), HIGH)
    assert not is_drifting(line(-89, 2), LOW)


def test_noise_alone_is_no_drift():
    assert not is_drifting([55 + value for value in NOISE], HIGH)
    random = Random()
    told = 0
    for _ in range(200):
        told += is_drifting([55 + random.below(5) for _ in range(KEPT)], HIGH)
    assert told == 0


def test_a_drift_shows_through_the_noise():
    assert is_drifting([value + noise for value, noise in zip(line(20, 2), NOISE)], HIGH)
    assert is_drifting([value + noise for value, noise in zip(line(-50, -2), NOISE)], LOW)


def test_a_step_is_no_drift_wherever_it_is():
    """A part that was changed, or a router that was moved."""
    for count in range(LEAST, KEPT + 1):
        for at in range(count + 1):
            assert not is_drifting([20] * at + [59] * (count - at), HIGH), (count, at)
            assert not is_drifting([-50] * at + [-89] * (count - at), LOW), (count, at)


def test_one_value_out_of_line_is_no_drift():
    for at in range(KEPT):
        values = [55] * KEPT
        values[at] = 59
        assert not is_drifting(values, HIGH)


def test_what_stands_still_is_no_drift_even_at_the_limit():
    assert not is_drifting([60] * KEPT, HIGH)
    assert not is_drifting([0] * KEPT, Measure("lost", "lossy", 0, 0))


def test_too_few_values_have_no_direction():
    for count in range(LEAST):
        assert not is_drifting(line(0, 50, count), HIGH)
    assert is_drifting(line(0, 50, LEAST), HIGH)


def test_a_measure_without_a_limit_that_way_never_drifts():
    assert not is_drifting(line(0, 100), Measure("retries", "garbled_answer", marginal_high=4))
    assert not is_drifting(line(0, -100), HIGH)


def test_numbers_of_any_size_keep_all_their_digits():
    """A float of 32 bits has seven."""
    for base in (0, 10**9, 10**15, -(10**15)):
        limit = Measure("free_bytes", "full", high=base + 60, low=base - 60)
        assert is_drifting([base + value for value in line(20, 2)], limit)
        assert is_drifting([base + value for value in line(-20, -2)], limit)
        assert not is_drifting([base + value for value in line(20, 1)], limit)
        assert not is_drifting([base + 55 + value for value in NOISE], limit)


# Across runs, on flash.


def test_a_drift_makes_a_pass_marginal_with_the_measures_cause():
    store = opened()
    causes = [ran(store, value).cause for value in line(20, 4, 8)]
    assert causes[: LEAST - 1] == [""] * (LEAST - 1)
    result = ran(store, 52)
    assert (result.outcome, result.cause) == (PASS, "overheated") and result.is_marginal
    assert result.detail == "drifting: 40 44 48 52"


def test_a_pass_that_is_marginal_already_keeps_its_cause():
    store = opened()
    for value in line(20, 4, 8):
        ran(store, value)
    assert ran(store, 52, cause="paper_near_end").cause == "paper_near_end"


def test_only_a_pass_becomes_marginal():
    for outcome in (FAIL, ERROR, SKIP):
        store = opened()
        for value in line(20, 4, 8):
            ran(store, value)
        assert ran(store, 52, outcome).cause == ""


def test_the_history_is_kept_oldest_first_and_bounded():
    store = opened()
    assert history(store, "printer", "head_c") == []
    for value in range(40):
        ran(store, value % 3)
    assert history(store, "printer", "head_c") == [value % 3 for value in range(40 - KEPT, 40)]
    assert len(store.keys(PREFIX)) == 1


def test_what_was_measured_in_a_run_that_failed_is_history_too():
    store = opened()
    ran(store, 20)
    ran(store, 90, FAIL, "overheated")
    assert history(store, "printer", "head_c") == [20, 90]


def test_what_was_not_measured_leaves_the_history_as_it_is():
    store = opened()
    ran(store, 20)
    ran(store, None, FAIL, "no_answer")
    assert history(store, "printer", "head_c") == [20]


def test_each_measure_has_its_own_history():
    store = opened()
    ran(store, 20)
    ran(store, -60, measure=LOW)
    assert history(store, "printer", "head_c") == [20] and history(store, "printer", "signal_dbm") == [-60]


def test_a_history_that_cannot_be_read_begins_anew():
    for record in (b"", b"\xff", encode(5), encode([1, "2"]), encode([None]), encode({1: 2}), encode("text")):
        store = opened()
        store.put(PREFIX + "printer.head_c", record)
        assert history(store, "printer", "head_c") == []
        ran(store, 20)
        assert history(store, "printer", "head_c") == [20]


def test_names_of_any_length_make_keys_that_the_store_takes():
    store = opened()
    phase = Phase(1, "secure_element.very_long_name", "secure_element", 1, None, 1000, 0, (Measure("a_long_measure_ms", "slow", high=5),))
    result = Result(phase.id, phase.kind, PASS, measurements={"a_long_measure_ms": 3})
    store.put_all(follow(store, phase, result))
    assert all([len(key) <= MAX_KEY_BYTES for key in store.keys()])
    assert history(store, phase.id, "a_long_measure_ms") == [3]
