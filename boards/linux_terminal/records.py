"""`reinstate-agent export`: writes a signed record to a file, by the agent where it runs, else without it."""

from boards.linux_terminal.command import GOOD, terminal_at, to_stderr, with_store_as_owner, wrong
from boards.linux_terminal.configuration import load
from boards.linux_terminal.desk import DeskError, NobodyThere, ask
from firmware_agent.records.console_export import AUDIT, EVIDENCE, SUMMARY

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from boards.linux_terminal.desk import Answer
    from firmware_agent.store import Store
    from firmware_agent.terminal import Terminal
    from hal.hal import Hal

RECORDS = (EVIDENCE, AUDIT, SUMMARY)


def export(options: "argparse.Namespace") -> int:
    """Write a record to a file that `reinstate verify` verifies: by the agent where it runs, else without it."""
    try:
        answer = ask(load(options.config).socket, {"export": options.what})
    except NobodyThere:

        async def alone(hal: "Hal", store: "Store") -> "Answer":
            return {"record": await record_of(await terminal_at(hal, store, to_stderr), options.what)}

        answer = with_store_as_owner(options.config, alone)
    if "refused" in answer:
        return wrong(str(answer["refused"]))
    try:
        with open(options.output, "w", encoding="ascii") as file:
            file.write(str(answer["record"]))
    except OSError as error:
        return wrong("%s: %s" % (options.output, error.strerror))
    print("%s: verify it with `reinstate verify %s --key CERTIFICATE`" % (options.output, options.output))
    return GOOD


async def record_of(terminal: "Terminal", what: str) -> str:
    """The package of the evidence log; of the others the signed text, as it stands in a slip's code. Raises DeskError, DeviceError."""
    from firmware_agent.messages.signed_text import encode_text
    from firmware_agent.records.evidence_package import audit_now, package
    from firmware_agent.records.summary import summary_now

    if what == EVIDENCE:
        return "\n".join(await package(terminal)) + "\n"  # at once: later, older entries may have retired
    if what not in RECORDS:
        raise DeskError("no record %r; there are: %s" % (what, ", ".join(RECORDS)))
    claims = audit_now(terminal) if what == AUDIT else summary_now(terminal)
    if claims is None:
        raise DeskError("this terminal was never suspended: there is no summary")
    _, message = await terminal.signed(claims)
    return encode_text(terminal.identity.acquirer, message) + "\n"
