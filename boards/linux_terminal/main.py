"""The command `reinstate-agent`: runs the agent of a Linux terminal, tests its devices from a shell, looks for what is attached, takes the
credentials with which the terminal becomes an acquirer's, writes its records to files, and installs a newer program.

Exit codes: 0 done and good; 1 done, and something failed; 2 wrong usage, configuration or installation, in one line on stderr; 75 the agent
is to be started again (EX_TEMPFAIL of sysexits.h).
"""

import argparse
import sys

from boards.linux_terminal import credentials, daemon, installation, records, selftest
from boards.linux_terminal.command import FAILED, Refused, wrong
from boards.linux_terminal.configuration import ConfigurationError
from boards.linux_terminal.desk import DeskError
from boards.linux_terminal.process import InUse
from firmware_agent import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CONFIGURATION = "/etc/reinstate/agent.toml"
COMMAND = "/usr/local/bin/reinstate-agent"  # as the service's unit has it


def main(arguments: "Sequence[str] | None" = None) -> int:
    """The entry point of the `reinstate-agent` command."""
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except (ConfigurationError, DeskError, Refused) as error:
        return wrong(str(error))
    except InUse as error:
        return wrong("%s is in use by another agent or self-test" % error)
    except KeyboardInterrupt:
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="reinstate-agent", description="The agent of a payment terminal on Linux.")
    parser.add_argument("--version", action="version", version="%(prog)s " + VERSION)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    running = commands.add_parser("run", help="run the agent, as the service does", description=daemon.run.__doc__)
    running.set_defaults(run=daemon.run)
    test = commands.add_parser("selftest", help="test the devices", description=selftest.selftest.__doc__)
    test.set_defaults(run=selftest.selftest)
    what = test.add_mutually_exclusive_group()
    what.add_argument("--plan", default="", help="power_on, daily, full, reactivation or device.DEVICE (default: daily)")
    what.add_argument("--level", choices=selftest.LEVELS, help="how far to go: without effect, with effect, with a person at the terminal")
    test.add_argument("--only", default="", metavar="PHASE_OR_DEVICE", help="only this phase, or the phases of this device")
    test.add_argument("--json", action="store_true", help="print one JSON document and nothing else on stdout")
    test.add_argument("--junit", metavar="FILE", help="write the phases as JUnit XML")
    request = commands.add_parser("request", help="ask for credentials, by a file", description=credentials.request.__doc__)
    request.add_argument("output", metavar="FILE", help="what is carried to the acquirer")
    request.set_defaults(run=credentials.request)
    enrol = commands.add_parser("enrol", help="take the acquirer's credentials, from a file", description=credentials.enrol.__doc__)
    enrol.add_argument("credentials", metavar="FILE", help="what the acquirer has answered")
    enrol.set_defaults(run=credentials.enrol)
    export = commands.add_parser("export", help="write a signed record to a file", description=records.export.__doc__)
    export.add_argument("what", choices=records.RECORDS, help="the evidence log, its audit, or the summary of the last suspension")
    export.add_argument("output", metavar="FILE", help="where it goes, for `reinstate verify`")
    export.set_defaults(run=records.export)
    about = installation.update.__doc__
    update = commands.add_parser("update", help="install a newer program that the acquirer has signed", description=about)
    newer = update.add_mutually_exclusive_group(required=True)
    newer.add_argument("wheel", nargs="?", metavar="WHEEL", help="the program; its signed list lies beside it")
    newer.add_argument("--back", action="store_true", help="exchange the program for the one before it")
    update.add_argument("--command", default=COMMAND, metavar="LINK", help="what starts the agent (default: %(default)s)")
    update.set_defaults(run=installation.update)
    for command in (running, test, request, enrol, export, update):
        command.add_argument("--config", default=CONFIGURATION, metavar="FILE", help="default: %(default)s")
    look = commands.add_parser("detect", help="propose a configuration", description=installation.detect.__doc__)
    look.set_defaults(run=installation.detect)
    return parser


if __name__ == "__main__":
    sys.exit(main())
