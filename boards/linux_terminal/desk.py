"""Where a running agent is asked from beside the counter: a Unix socket, a line of JSON each way, and the connection is over."""

import asyncio
import errno
import json
import os
import socket
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Question = dict[str, object]
    Answer = dict[str, object]

MOST_QUESTION_BYTES = 512
MOST_ANSWER_BYTES = 1 << 20
MOST_CONNECTIONS = 4
QUESTION_S = 5.0  # for the question to arrive, and for the answer to be taken
ANSWER_S = 1200.0  # for what was asked: a self-test with a person, who may take his time
PERMISSIONS = 0o660


class NobodyThere(Exception):
    """No agent listens at that place."""


class DeskError(Exception):
    """The agent could not be asked, or gave no answer; the message says why."""


class Desk:
    """path: of the socket; answer: takes a question, and gives its answer; log: takes one line."""

    def __init__(self, path: str, answer: "Callable[[Question], Awaitable[Answer]]", log: "Callable[[str], None]") -> None:
        self._path = path
        self._answer = answer
        self._log = log
        self._connections = 0
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Raises OSError where the socket cannot be made."""
        try:
            if stat.S_ISSOCK(os.stat(self._path).st_mode):
                os.remove(self._path)  # of an agent that was killed: this one has the state folder to itself
        except FileNotFoundError:
            pass
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o777 & ~PERMISSIONS)
        try:
            listening.bind(self._path)
        except OSError:
            listening.close()
            raise
        finally:
            os.umask(before)
        self._server = await asyncio.start_unix_server(self._serve, sock=listening, limit=MOST_QUESTION_BYTES)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            try:
                os.remove(self._path)
            except OSError as error:
                self._log("%s is left behind: %s" % (self._path, error.strerror))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections <= MOST_CONNECTIONS:
                question = json.loads(await asyncio.wait_for(reader.readline(), QUESTION_S))
                if not isinstance(question, dict):
                    raise ValueError("a question is an object")
                answer = await asyncio.wait_for(self._answer(question), ANSWER_S)
                writer.write(json.dumps(answer).encode() + b"\n")
                await asyncio.wait_for(writer.drain(), QUESTION_S)
        except (OSError, ValueError) as error:  # of the one who asks: gone, too slow, or no question
            self._log("failed to answer: %s" % type(error).__name__)
        finally:
            self._connections -= 1
            writer.close()


def ask(path: str, question: "Question") -> "Answer":
    """What the agent at that socket answers. Raises NobodyThere, DeskError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_S + QUESTION_S)
        try:
            connection.connect(path)
            connection.sendall(json.dumps(question).encode() + b"\n")
            with connection.makefile("rb") as answers:
                line = answers.readline(MOST_ANSWER_BYTES)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ECONNREFUSED):
                raise NobodyThere from None
            raise DeskError("the agent cannot be asked at %s: %s" % (path, error.strerror or "no answer in time")) from None
    if not line.endswith(b"\n"):
        raise DeskError("the agent at %s ended without an answer" % path)
    answer: Answer = json.loads(line)
    return answer
