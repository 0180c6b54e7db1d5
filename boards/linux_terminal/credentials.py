"""`reinstate-agent request` and `enrol`: how the terminal becomes an acquirer's, by files that are carried there and back."""

import asyncio

from boards.linux_terminal.command import GOOD, Refused, with_store, wrong

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from firmware_agent.identity.identity import Identity
    from firmware_agent.store import Store
    from hal.hal import Hal


def request(options: "argparse.Namespace") -> int:
    """Make this terminal's keys, and write a request for credentials for them, to be carried to the acquirer. The agent must not run."""
    from firmware_agent.identity import enrolment

    data = asyncio.run(with_store(options.config, enrolment.request))
    try:
        with open(options.output, "wb") as file:
            file.write(data)
    except OSError as error:
        return wrong("%s: %s" % (options.output, error.strerror))
    print("%s: carry it to the acquirer, who answers it with credentials" % options.output)
    return GOOD


def enrol(options: "argparse.Namespace") -> int:
    """Take the credentials with which the acquirer has answered this terminal's request. The agent must not run."""
    from firmware_agent.identity import enrolment

    try:
        with open(options.credentials, "rb") as file:
            data = file.read(enrolment.MOST_BYTES + 1)
    except OSError as error:
        return wrong("%s: %s" % (options.credentials, error.strerror))

    async def taken(hal: "Hal", store: "Store") -> "Identity":
        try:
            return await enrolment.enrol(hal, store, data)
        except enrolment.EnrolmentError as error:
            raise Refused("%s: %s" % (options.credentials, error)) from error

    identity = asyncio.run(with_store(options.config, taken))
    print("this is terminal %s of acquirer %s now" % (identity.terminal, identity.acquirer))
    return GOOD
