"""The last self-test run as it is kept: for a slip and a page, and as JSON and JUnit XML, line by line."""

import json

from firmware_agent.flows.dates import local_time
from firmware_agent.selftest.diagnosis import cause_named, diagnose_all
from firmware_agent.selftest.phases import ABORTED, ERROR, FAIL, SKIP, TIMEOUT
from firmware_agent.selftest.report import from_list
from firmware_agent.selftest.run import last_result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from firmware_agent.messages.schema import Claims
    from firmware_agent.selftest.diagnosis import Cause, Diagnosis
    from firmware_agent.selftest.phases import Result
    from firmware_agent.terminal import Terminal

# The element of JUnit XML for each outcome that is no pass. What could not be judged is an error there, and not a failure.
_ELEMENTS = {FAIL: "failure", TIMEOUT: "failure", ERROR: "error", ABORTED: "error", SKIP: "skipped"}


class LastRun:
    """claims: the report as it was queued; plan; at: Unix seconds, 0 where the clock was not set; results: of its phases, in their order;
    findings: what is broken or about to break, the worst first.
    """

    def __init__(self, terminal: str, board: str, claims: "Claims", results: "list[Result]", findings: "list[Diagnosis]") -> None:
        self.terminal = terminal
        self.board = board
        self.claims = claims
        self.plan = claims.text("plan")
        self.at = claims.issued_at
        self.results = results
        self.findings = findings


def last_run(terminal: "Terminal") -> "LastRun | None":
    """None where there was none, or none that this version can read."""
    claims = terminal.last_report()
    if claims is None:
        return None
    results = []
    for values in claims.items("results"):
        try:
            told = from_list(values)
        except ValueError:
            return None
        # Written together with the report, and with more in it: measurements, and the whole detail.
        kept = last_result(terminal, told.phase)
        results.append(told if kept is None else kept[2])
    return LastRun(terminal.identity.terminal, terminal.hal.board, claims, results, diagnose_all(results, terminal.hal.buses))


def json_lines(run: LastRun) -> "Iterator[str]":
    """One JSON document (RFC 8259), in ASCII. A measurement is a whole number, its unit in its name."""
    yield "{"
    for name, value in (
        ("terminal", run.terminal),
        ("plan", run.plan),
        ("at", _iso_time(run.at) + "Z" if run.at else None),
        ("sequence", run.claims.sequence),
        ("boot", run.claims.boot_count),
        ("firmware", run.claims.text("firmware")),
        ("board", run.board),
        ("mode", run.claims.text("mode")),
    ):
        yield "  %s: %s," % (_json(name), _json(value))
    yield '  "results": ['
    for number, result in enumerate(run.results):
        yield "    {%s}%s" % (", ".join(_result_members(result)), "," if number + 1 < len(run.results) else "")
    yield "  ],"
    yield '  "findings": ['
    for number, finding in enumerate(run.findings):
        members: list[tuple[str, object]] = [("component", finding.component), ("cause", finding.cause.code)]
        members += [("phase", finding.result.phase), ("outcome", finding.result.outcome)]
        members += [("error", finding.error), ("marginal", finding.is_marginal)]
        members += _mending(finding.cause)
        written = ", ".join([_json(name) + ": " + _json(value) for name, value in members])
        yield "    {%s}%s" % (written, "," if number + 1 < len(run.findings) else "")
    yield "  ]"
    yield "}"


def _result_members(result: "Result") -> "Iterator[str]":
    cause = _cause_of(result)
    members: list[tuple[str, object]] = [
        ("phase", result.phase),
        ("device", result.kind),
        ("outcome", result.outcome),
        ("cause", result.cause or None),
        ("error", result.error),
        ("detail", result.detail),
        ("duration_ms", result.duration_ms),
    ]
    for name, value in members:
        yield _json(name) + ": " + _json(value)
    measurements = [_json(name) + ": " + _json(result.measurements[name]) for name in sorted(result.measurements)]
    yield '"measurements": {%s}' % ", ".join(measurements)
    for name, value in _mending(cause):
        yield _json(name) + ": " + _json(value)


def _mending(cause: "Cause | None") -> "list[tuple[str, object]]":
    if cause is None:
        return [("mends", None), ("needs_network", None), ("next", None)]
    return [("mends", cause.mends), ("needs_network", cause.needs_network), ("next", cause.step)]


def _cause_of(result: "Result") -> "Cause | None":
    """None after a plain pass, and for a driver's own word."""
    try:
        return cause_named(result.cause) if result.cause else None
    except KeyError:
        return None


def junit_lines(run: LastRun) -> "Iterator[str]":
    """One JUnit XML document, in ASCII: a test suite for the run, a test case for each phase, its device as the class."""
    counts = {"failure": 0, "error": 0, "skipped": 0}
    duration_ms = 0
    for result in run.results:
        duration_ms += result.duration_ms
        if result.outcome in _ELEMENTS:
            counts[_ELEMENTS[result.outcome]] += 1
    totals = 'tests="%d" failures="%d" errors="%d" skipped="%d" time="%s"' % (
        len(run.results),
        counts["failure"],
        counts["error"],
        counts["skipped"],
        _seconds(duration_ms),
    )
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield "<testsuites %s>" % totals.replace(' skipped="%d"' % counts["skipped"], "")
    timestamp = ' timestamp="%s"' % _iso_time(run.at) if run.at else ""
    yield '  <testsuite name="%s" hostname="%s" %s%s>' % (_xml("self-test " + run.plan), _xml(run.terminal), totals, timestamp)
    yield "    <properties>"
    for name, value in (("firmware", run.claims.text("firmware")), ("board", run.board), ("mode", run.claims.text("mode"))):
        yield '      <property name="%s" value="%s"/>' % (name, _xml(value))
    yield "    </properties>"
    for result in run.results:
        case = '<testcase classname="%s" name="%s" time="%s"' % (_xml(result.kind), _xml(result.phase), _seconds(result.duration_ms))
        told = _told(result)
        if result.outcome in _ELEMENTS:
            element = _ELEMENTS[result.outcome]
            kind = "" if element == "skipped" else ' type="%s"' % _xml(result.outcome)
            yield '    %s><%s message="%s"%s/></testcase>' % (case, element, _xml(told), kind)
        elif told:
            yield "    %s><system-out>%s</system-out></testcase>" % (case, _xml(told))
        else:
            yield "    %s/>" % case
    yield "  </testsuite>"
    yield "</testsuites>"


def _told(result: "Result") -> str:
    """What is known of a result in one line: 'paper_out, EPTR_REC_EMPTY, roll 0, mended by: clerk'."""
    parts = [result.cause] if result.cause else []
    if result.code:
        parts.append(result.error)
    if result.detail:
        parts.append(result.detail)
    parts.extend(["%s %d" % (name, result.measurements[name]) for name in sorted(result.measurements)])
    cause = _cause_of(result)
    if cause is not None:
        parts.append("mended by: " + cause.mends)
    return ", ".join(parts)


def _json(value: object) -> str:
    """JSON in ASCII, which any cable carries."""
    return "".join([character if " " <= character <= "~" else _json_escape(ord(character)) for character in json.dumps(value)])


def _json_escape(code: int) -> str:
    if code > 0xFFFF:
        code -= 0x10000
        return "\\u%04x\\u%04x" % (0xD800 | code >> 10, 0xDC00 | code & 0x3FF)
    return "\\u%04x" % code


_XML_NAMES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}


def _xml(text: str) -> str:
    """Text in ASCII, for an attribute between double quotes or for an element."""
    return "".join([_XML_NAMES.get(character) or _in_xml(character) for character in text])


def _in_xml(character: str) -> str:
    """What XML 1.0 has no place for (2.2) becomes '?'."""
    code = ord(character)
    if " " <= character <= "~":
        return character
    if (code < 0x20 and code not in (0x09, 0x0A, 0x0D)) or 0xD800 <= code <= 0xDFFF or code in (0xFFFE, 0xFFFF):
        return "?"
    return "&#%d;" % code


def _seconds(duration_ms: int) -> str:
    """A whole number as seconds: '0.023'. A float has 24 bits on some boards."""
    return "%d.%03d" % (duration_ms // 1000, duration_ms % 1000)


def _iso_time(wall_s: int) -> str:
    """ISO 8601 in UTC, without its mark: '2026-11-22T08:35:07'."""
    return local_time(wall_s, 0).replace(" ", "T") + ":%02d" % (wall_s % 60)
