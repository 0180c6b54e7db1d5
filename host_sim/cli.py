"""The `reinstate` command. Exit codes: 0 done and good, 1 done and something failed, 2 wrong usage or input (one line on stderr)."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import select
import sys
import tempfile
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from firmware_agent.texts import LANGUAGES
from host_sim import trial
from host_sim.attacks.run import document, run_attacks
from host_sim.attacks.siege import AttackError
from host_sim.boards import boards
from host_sim.brokers import BrokerFailure
from host_sim.desktop import command as desktop
from host_sim.evidence_package import is_package, verify_package_and_print
from host_sim.fault_matrix import run_matrix
from host_sim.fleet import command as fleet
from host_sim.platform import TIMES, time_of_name
from host_sim.scenarios import coverage
from host_sim.scenarios.junit import junit_xml
from host_sim.scenarios.runs import Run, run_all
from host_sim.scenarios.scenario import ScenarioError, load
from host_sim.scenarios.story import Outcome, play
from host_sim.simulated_time import SEED
from host_sim.terminal import RUNTIMES, TerminalFailure, check_runtime, runtime_of
from host_sim.verify import VerifyError, verify_and_print
from host_sim.world import BROKERS, times_of

GOOD, FAILED, WRONG_USAGE = 0, 1, 2
BOTH = "both"  # runtimes
ALL = "all"
CORES = os.cpu_count() or 1


def main(arguments: Sequence[str] | None = None) -> int:
    """The entry point of the `reinstate` command."""
    parser = argparse.ArgumentParser(prog="reinstate", description="Gets a suspended payment terminal back into service.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run scenarios without a window", description=_run.__doc__)
    run.add_argument("scenario", type=Path, nargs="+", metavar="SCENARIO", help="a scenario file (see docs/simulation.md)")
    run.add_argument("--runtime", choices=(*RUNTIMES, ALL), help="what the agent runs on (default: what the board is made for)")
    run.add_argument("--board", choices=(*boards(), ALL), help="default: as the scenario says; all: every microcontroller's")
    run.add_argument("--lang", choices=(*LANGUAGES, ALL), help="language of the screens; default: as the scenario says")
    run.add_argument("--jobs", type=_count, default=CORES, metavar="N", help="runs at the same time (default: %(default)s)")
    run.add_argument("--broker", choices=BROKERS, default="embedded", help="default: %(default)s")
    run.add_argument("--time", choices=TIMES, help="default: simulated, where board and broker have it")
    run.add_argument("--seed", type=_count, metavar="N", help=f"of chance in simulated time (default: {SEED})")
    run.add_argument("--json", action="store_true", help="print one JSON document and nothing else on stdout")
    run.add_argument("--junit", type=Path, metavar="FILE", help="write the steps as JUnit XML")
    run.add_argument("--screens", type=Path, metavar="DIR", help="write each expected screen and slip as PNG")
    check = commands.add_parser("verify", help="verify what a terminal has signed, offline", description=_verify.__doc__)
    check.add_argument("file", metavar="FILE", help="a QR code's text, an evidence package, or with --topic a message's bytes; - for stdin")
    check.add_argument(
        "--key",
        required=True,
        action="append",
        metavar="FILE",
        help="the signer's public key or certificate, PEM or DER; may be given several times",
    )
    check.add_argument("--head", default="", metavar="COUNT:HEX", help="of an evidence package: the head that the acquirer keeps")
    check.add_argument("--topic", default="", help="the MQTT topic that the bytes in FILE were published on")
    check.add_argument("--lang", choices=LANGUAGES, default="en", help="default: %(default)s")
    check.add_argument("--json", action="store_true", help="print one JSON document and nothing else on stdout")
    faults = commands.add_parser("faults", help="run the fault matrix: what the self-test says of each fault", description=_faults.__doc__)
    faults.add_argument("--board", choices=boards(), default="esp32s3_counter", help="default: %(default)s")
    faults.add_argument("--runtime", choices=RUNTIMES, help="what the agent runs on (default: what the board is made for)")
    faults.add_argument(
        "--only", action="append", metavar="PATTERN", help="faults whose id matches, as 'printer.*'; several times for more (default: all)"
    )
    faults.add_argument("--clean-runs", type=_count, default=200, metavar="N", help="runs of a sound terminal (default: %(default)s)")
    faults.add_argument("--jobs", type=_count, default=CORES, metavar="N", help="terminals at the same time (default: %(default)s)")
    faults.add_argument("--time", choices=TIMES, help="default: simulated, where the board has it")
    faults.add_argument("--seed", type=int, default=1, help="of all that is random (default: %(default)s)")
    faults.add_argument("--json", action="store_true", help="print one JSON document and nothing else on stdout")
    attack = commands.add_parser("attack", help="attack a terminal and its acquirer with hostile messages", description=_attack.__doc__)
    attack.add_argument("--board", choices=boards(), default="esp32s3_counter", help="default: %(default)s")
    attack.add_argument("--runtime", choices=(*RUNTIMES, BOTH), default=BOTH, help="what the agent runs on (default: %(default)s)")
    attack.add_argument("--only", default="*", metavar="PATTERN", help="attacks whose id matches, as 'terminal.forged.*' (default: all)")
    attack.add_argument("--json", action="store_true", help="print one JSON document and nothing else on stdout")
    covered = commands.add_parser("coverage", help="which rows of docs/coverage.md hold", description=_coverage.__doc__)
    covered.add_argument("--board", choices=boards(), default="esp32s3_counter", help="default: %(default)s")
    covered.add_argument("--runtime", choices=RUNTIMES, help="what the agent runs on (default: what the board is made for)")
    covered.add_argument("--lang", choices=LANGUAGES, help="language of the screens; default: as each scenario says")
    covered.add_argument(
        "--jobs", type=_count, default=os.cpu_count() or 1, metavar="N", help="runs at the same time (default: %(default)s)"
    )
    covered.add_argument("--json", action="store_true", help="print one JSON document and nothing else on stdout")
    fleet.add_command(commands)
    desktop.add_command(commands)
    trial.add_commands(commands)
    options = parser.parse_args(arguments)
    try:
        code = _carried_out(options)
        sys.stdout.flush()
        return code
    except (
        ScenarioError,
        BrokerFailure,
        TerminalFailure,
        VerifyError,
        trial.OfficeError,
        AttackError,
        fleet.FleetError,
        desktop.SimulatorError,
    ) as error:
        print(f"reinstate: {error}", file=sys.stderr)
        return WRONG_USAGE
    except KeyboardInterrupt:
        return FAILED
    except BrokenPipeError:
        if not _nobody_reads(sys.stdout):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left in its buffer goes there at the end
        return FAILED


def _carried_out(options: argparse.Namespace) -> int:
    own = {"run": _run, "sim": _sim, "verify": _verify, "faults": _faults, "attack": _attack, "coverage": _coverage}
    if options.command in own:
        return own[options.command](options)
    carry_out = fleet.carry_out if options.command == "fleet" else trial.carry_out
    return GOOD if carry_out(options) else FAILED


def _nobody_reads(pipe: TextIO) -> bool:
    """Whether who was to read has gone, as `head` does when it has enough."""
    poll = select.poll()
    poll.register(pipe, select.POLLOUT)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _run(options: argparse.Namespace) -> int:
    """Run a scenario: broker, acquirer and one terminal; tells each step as it happens and ends with a summary. Of several runs it tells
    how each ended, and the sum.
    """
    runs = [run for path in options.scenario for run in _runs_of(path, options)]
    if len(runs) > 1:
        return _run_several(runs, options)
    board, runtime = runs[0].board, runs[0].runtime
    scenario = load(runs[0].scenario)
    time = time_of_name(runs[0].time, runs[0].seed)
    began_ms = time.now_ms()
    out = sys.stderr if options.json else sys.stdout
    if runs[0].seed != SEED:
        print(f"seed {runs[0].seed}", file=out, flush=True)

    def tell(who: str, what: str) -> None:
        if who:
            print(f"{(time.now_ms() - began_ms) / 1000:7.2f} s  {who:<9} {what}", file=out, flush=True)
        else:
            print(f"\n--- {what}", file=out, flush=True)

    # The agent's processes and sockets live in this folder; a socket's path has to be short.
    with tempfile.TemporaryDirectory(prefix="reinstate-") as folder:
        outcome = time.run(
            play(
                scenario,
                Path(folder),
                board=board,
                runtime=runtime,
                language=runs[0].language,
                broker=options.broker,
                tell=tell,
                time=time,
                pictures=options.screens,
            )
        )
    if options.junit is not None:
        options.junit.write_text(junit_xml(outcome), encoding="utf-8")
    if options.json:
        print(json.dumps(outcome.document(), ensure_ascii=False, indent=2))
    else:
        with contextlib.suppress(BrokenPipeError):
            _summary(outcome)
    return GOOD if outcome.passed else FAILED


def _sim(options: argparse.Namespace) -> int:
    desktop.carry_out(options)
    return GOOD


def _runs_of(path: Path, options: argparse.Namespace) -> list[Run]:
    """Of one scenario; everything that is wrong with them is found before the first one begins."""
    scenario = load(path)
    chosen = options.board or scenario.board
    languages = LANGUAGES if options.lang == ALL else (options.lang or scenario.language,)
    runs = []
    for board in (name for name in boards() if runtime_of(name) == RUNTIMES[0]) if chosen == ALL else (chosen,):
        for runtime in RUNTIMES if options.runtime == ALL else (options.runtime or runtime_of(board),):
            check_runtime(board, runtime)
            time = _time_of(board, options.broker, options.time)
            if time == "real" and options.seed is not None:
                raise ScenarioError("--seed is for simulated time; chance in real time has none")
            seed = SEED if options.seed is None else options.seed
            runs += [Run(path, board, runtime, language, options.broker, time, seed) for language in languages]
    return runs


def _time_of(board: str, broker: str, wanted: str | None) -> str:
    """The usual one, unless told otherwise."""
    times = times_of(board, broker)
    if wanted is not None and wanted not in times:
        without = "broker mosquitto" if wanted in times_of(board, "embedded") else f"board {board}"
        raise ScenarioError(f"{without} has no {wanted} time; it takes --time {times[0]}")
    return wanted or times[0]


def _run_several(runs: list[Run], options: argparse.Namespace) -> int:
    if options.junit is not None or options.screens is not None:
        raise ScenarioError("--junit and --screens are for one run")
    out = sys.stderr if options.json else sys.stdout
    total = asyncio.run(run_all(runs, max(1, options.jobs), lambda line: print(line, file=out, flush=True)))
    if options.json:
        print(json.dumps(total.document(), ensure_ascii=False, indent=2))
    else:
        print("\n".join(["", *total.table()]))
    return GOOD if total.passed == len(runs) else FAILED


def _verify(options: argparse.Namespace) -> int:
    """Verify a signed message, and tell what it says. Exit code 1: it is not good, and nothing of it is shown."""
    if is_package(options.file):
        return GOOD if verify_package_and_print(options.file, options.key, options.head, options.json) else FAILED
    return GOOD if verify_and_print(options.file, options.key, options.topic, options.lang, options.json) else FAILED


def _faults(options: argparse.Namespace) -> int:
    """Switch on each fault that the chip models of a board list, one terminal each, and compare what its self-test finds. Exit code 1: a
    fault was not found, fewer than 98 of 100 were put down to the right component, or a sound terminal was complained of.
    """
    runtime = options.runtime or runtime_of(options.board)
    check_runtime(options.board, runtime)
    out = sys.stderr if options.json else sys.stdout
    only = options.only or ["*"]
    matrix = run_matrix(
        options.board,
        runtime,
        only,
        options.clean_runs,
        time=_time_of(options.board, "embedded", options.time),
        jobs=max(1, options.jobs),
        seed=options.seed,
        tell=lambda line: print(line, file=out, flush=True),
    )
    if not matrix.diagnosed and not matrix.clean:
        raise ScenarioError(f"no fault of {options.board} matches {' or '.join(only)}, and no clean run was asked for")
    if options.json:
        print(json.dumps(matrix.document(), indent=2))
    else:
        print(
            f"board {matrix.board}, agent on {matrix.runtime}: {len(matrix.diagnosed)} faults, {matrix.detected} found, "
            f"{matrix.correct} put down to the right component; {len(matrix.clean)} clean runs, {matrix.false_alarms} false alarms"
        )
    return GOOD if matrix.holds else FAILED


def _attack(options: argparse.Namespace) -> int:
    """Send hostile messages to a running terminal, in each runtime, and in a terminal's name to the acquirer. Exit code 1: one was not
    refused for the reason that it has to be refused for, or something changed by it.
    """
    runtimes = RUNTIMES if options.runtime == BOTH else (options.runtime,)
    for runtime in runtimes:
        check_runtime(options.board, runtime)
    out = sys.stderr if options.json else sys.stdout
    results = asyncio.run(run_attacks(options.board, runtimes, options.only, lambda line: print(line, file=out, flush=True)))
    if not results:
        raise ScenarioError(f"no attack matches {options.only!r}")
    failed = sum(result.failed for result in results)
    if options.json:
        print(json.dumps(document(results), indent=2))
    else:
        refused = sum(result.refused for result in results)
        print(f"{len(results)} attacks, {refused} refused as they have to be, {failed} of these without a change")
    return GOOD if failed == len(results) else FAILED


def _coverage(options: argparse.Namespace) -> int:
    """Run every scenario that covers a row of docs/coverage.md; a row holds that has a scenario, and whose scenarios all
    pass. Exit code 1: one does not.
    """
    runtime = options.runtime or runtime_of(options.board)
    check_runtime(options.board, runtime)
    runs = coverage.runs_on(options.board, runtime, options.lang)
    total = asyncio.run(run_all(runs, max(1, options.jobs), lambda line: print(line, file=sys.stderr, flush=True)))
    rows = coverage.rows_of(total)
    hold = sum(row.holds for row in rows)
    if options.json:
        print(json.dumps(coverage.document(rows), indent=2))
    else:
        for row in rows:
            print(f"{row.id:<4} {'holds' if row.holds else 'DOES NOT HOLD':<14} {' '.join(row.tests)}")
        print(f"board {options.board}, agent on {runtime}: {hold} of {len(rows)} rows hold")
    return GOOD if hold == len(rows) else FAILED


def _count(text: str) -> int:
    """A whole number from 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def _summary(outcome: Outcome) -> None:
    print("\n=== Screens")
    shown: list[list[str]] = []
    for name, screen in outcome.screens:
        if screen not in shown:
            shown.append(screen)
            print(_framed(name, screen))
    if outcome.slip:
        print("\n=== Slip")
        print(_framed("", outcome.slip))
    print("\n=== Summary")
    print(f"{outcome.scenario}")
    took = f" of simulated time, which took {outcome.real_s:.1f} s" if outcome.is_simulated else ""
    print(f"board {outcome.board}, agent on {outcome.runtime}, {len(outcome.steps)} steps in {outcome.duration_s:.1f} s{took}")
    print(f"messages in both directions: {outcome.published} published, {outcome.verified} signatures verified, {outcome.refused} refused")
    print(f"final state: {outcome.final_state}")
    print("passed" if outcome.passed else "FAILED")


def _framed(name: str, lines: Sequence[str]) -> str:
    width = max([40, *(_columns(line) for line in lines)])
    rows = [f"+-{name + ' ' if name else ''}{'-' * (width - len(name) - (1 if name else 0))}-+"]
    rows += [f"| {line}{' ' * (width - _columns(line))} |" for line in lines]
    return "\n".join([*rows, f"+-{'-' * width}-+"])


def _columns(text: str) -> int:
    """Width in a terminal window: a Chinese character takes two columns."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


if __name__ == "__main__":
    sys.exit(main())
