"""`reinstate-agent update` and `detect`: which program this machine runs, and which devices it is to be configured for."""

import os
import sys

from boards.linux_terminal.command import FAILED, GOOD, terminal_at, to_stderr, with_store_as_owner
from boards.linux_terminal.process import sole_use

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from firmware_agent.store import Store
    from hal.hal import Hal


def update(options: "argparse.Namespace") -> int:
    """Install a newer program, after the acquirer's signature over its list and every file by that list were found good; or go back to the
    one before. The agent must not run; it is the new program from its next start on. Exit code 1: nothing was changed, and why.
    """
    from boards.linux_terminal import update as program
    from firmware_agent.boot.update import UpdateError

    os.umask(0o022)  # the agent's user runs what root installs
    try:
        place = program.Place(options.command)
        with sole_use(place.base):
            if options.back:
                print("%s is what runs from the next start on" % place.back())
                return GOOD
            with program.workshop(place.base) as folder:
                wheel = program.own_copy(options.wheel, folder)

                async def approved(hal: "Hal", store: "Store") -> "tuple[str, dict[str, bytes]]":
                    return await program.approved(await terminal_at(hal, store, to_stderr), os.path.dirname(wheel) + "/program")

                version, listed = with_store_as_owner(options.config, approved)
                program.install(place, wheel, version, listed)
    except UpdateError as error:
        print("reinstate-agent: %s: %s" % (error.code, error), file=sys.stderr)
        return FAILED
    except OSError as error:
        print("reinstate-agent: %s: %s" % (error.filename or options.wheel, error.strerror), file=sys.stderr)
        return FAILED
    print("version %s runs from the next start on; the one before is kept: reinstate-agent update --back" % version)
    return GOOD


def detect(options: "argparse.Namespace") -> int:
    """Look for what is attached, and print a configuration for it, with the reason for each section. Nothing is changed."""
    from boards.linux_terminal.detect import proposal

    print(proposal(), end="")
    return GOOD
