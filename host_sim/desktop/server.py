"""The desktop simulator's server: one page on loopback, what it can do as JSON, and what happens as server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from firmware_agent.messages.schema import DOWN
from host_sim.desktop.choices import choices
from host_sim.desktop.command import SimulatorError
from host_sim.desktop.live_terminal import LiveTerminal
from host_sim.desktop.session import Session, Wrong
from host_sim.desktop.state_folder import StateFolder
from host_sim.desktop.traffic import NoAnswer
from host_sim.scenarios.looking import StepFailed
from host_sim.scenarios.scenario import ScenarioError, step_of
from host_sim.terminal import TerminalFailure

HOST = "127.0.0.1"
NAMES = (HOST, "localhost")  # by which the page may be asked for
STATIC = Path(__file__).parent / "static"
MOST_BODY_BYTES = 65536
END_S = 2  # for answers that are under way when the server ends
HEADERS = (
    (b"content-security-policy", b"default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Guard:
    """Lets in only what this server's own page asks: another page in the same browser must not send orders, and no name may be rebound to
    this server. port: that it listens on.
    """

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._hosts = frozenset(f"{name}:{port}" for name in NAMES)
        self._origins = frozenset(f"http://{host}" for host in self._hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS]
            await send(message)

        why = self._why_not(scope["headers"])
        if why:
            return await _refusal(403, why)(scope, receive, send_guarded)
        await self._app(scope, receive, send_guarded)

    def _why_not(self, headers: list[tuple[bytes, bytes]]) -> str:
        found: dict[bytes, list[str]] = {b"host": [], b"origin": []}
        for name, value in headers:
            if name in found:
                found[name].append(value.decode("latin-1").lower())
        if len(found[b"host"]) != 1 or found[b"host"][0] not in self._hosts:
            return f"this is another host; allowed: {', '.join(sorted(self._hosts))}"
        if any(origin not in self._origins for origin in found[b"origin"]):
            return "another page may not ask this"
        return ""


def application(session: Session, port: int) -> ASGIApp:
    """What answers. session: running; port: that it is asked on."""
    routes = Routes(session)
    app = Starlette(
        routes=routes.all(),
        exception_handlers={HTTPException: _http_error, 500: _defect, **{kind: _error(status) for kind, status in STATUS.items()}},
    )
    return Guard(app, port)


# What an error is answered by.
STATUS: dict[type[Exception], int] = {
    ScenarioError: 422,
    Wrong: 422,
    StepFailed: 409,
    TerminalFailure: 409,
    NoAnswer: 409,
}


def _error(status: int) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(request: Request, error: Exception) -> Response:
        return _refusal(status, str(error))

    return answer


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _refusal(error.status_code, error.detail)


async def _defect(request: Request, error: Exception) -> Response:
    """Told to the page, and with all its lines to whoever started the server."""
    return _refusal(500, f"a defect of the simulator, told where it was started: {type(error).__name__}")


def _refusal(status: int, line: str) -> JSONResponse:
    return JSONResponse({"error": line}, status)


class Routes:
    """One method for each thing that can be asked."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self) -> list[Route | Mount]:
        one = "/api/terminals/{terminal}"
        return [
            Route("/", self.page),
            Route("/api/choices", self.choices),
            Route("/api/live", self.live),
            Route("/api/terminals", self.terminals),
            Route("/api/terminals", self.add, methods=["POST"]),
            Route(one, self.terminal),
            Route(one, self.remove, methods=["DELETE"]),
            Route(one + "/steps", self.step, methods=["POST"]),
            Route(one + "/display.png", self.display),
            Route(one + "/screen", self.screen),
            Route(one + "/slips/{number:int}.png", self.slip_picture),
            Route(one + "/slips/{number:int}", self.slip_text),
            Route(one + "/recording", self.recording),
            Route(one + "/recording", self.new_recording, methods=["DELETE"]),
            Route(one + "/messages", self.messages),
            Route(one + "/messages/{number:int}", self.message),
            Route(one + "/messages/{number:int}/altered", self.altered, methods=["POST"]),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]

    async def page(self, request: Request) -> Response:
        return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})

    async def choices(self, request: Request) -> Response:
        return JSONResponse(choices(self._session.defaults))

    async def live(self, request: Request) -> Response:
        return StreamingResponse(self._session.hub.events(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    # Terminals.

    async def add(self, request: Request) -> Response:
        body = await _body(request)
        wanted = {name: _text(body, name) for name in ("board", "runtime", "language")}
        live = await self._session.add(**wanted)
        return JSONResponse({"terminal": live.document()}, 201)

    async def terminals(self, request: Request) -> Response:
        return JSONResponse([live.document() for live in self._session.terminals.values()])

    async def terminal(self, request: Request) -> Response:
        return JSONResponse(self._terminal(request).document())

    async def remove(self, request: Request) -> Response:
        await self._session.remove(self._terminal(request).id)
        return JSONResponse({})

    async def step(self, request: Request) -> Response:
        live, body = self._terminal(request), await _body(request)
        await self._session.unless_it_ends(live.do(step_of(_text(body, "verb"), body.get("argument"))))
        live.tell_document()
        return JSONResponse({})

    async def display(self, request: Request) -> Response:
        return _picture(self._terminal(request).display())

    async def screen(self, request: Request) -> Response:
        return JSONResponse(self._terminal(request).screen())

    async def slip_picture(self, request: Request) -> Response:
        live, number = self._slip(request)
        return _picture(live.slip_picture(number))

    async def slip_text(self, request: Request) -> Response:
        live, number = self._slip(request)
        return JSONResponse(await asyncio.to_thread(live.slip_text, number))

    async def recording(self, request: Request) -> Response:
        return PlainTextResponse(await self._terminal(request).recording(), media_type="text/yaml")

    async def new_recording(self, request: Request) -> Response:
        live = await self._session.renew(self._terminal(request).id)
        return JSONResponse({"terminal": live.document()})

    async def messages(self, request: Request) -> Response:
        return JSONResponse([passed.line() for passed in self._terminal(request).messages])

    async def message(self, request: Request) -> Response:
        try:
            passed = self._terminal(request).messages.numbered(request.path_params["number"])
        except KeyError as error:
            raise _no_message(error) from None
        return JSONResponse(passed.document())

    async def altered(self, request: Request) -> Response:
        live, body = self._terminal(request), await _body(request)
        at, bit = body.get("at"), body.get("bit", 0)
        if type(at) is not int or type(bit) is not int:
            raise Wrong("at and bit are whole numbers: of the byte, from 0, and of the bit in it, 0 to 7")
        try:
            if not live.terminal.is_on and live.messages.numbered(request.path_params["number"]).direction == DOWN:
                raise NoAnswer("the terminal is off: nobody would answer")
            passed = await self._session.traffic.send_altered(live.id, request.path_params["number"], at, bit)
        except KeyError as error:
            raise _no_message(error) from None
        except ValueError as error:
            raise Wrong(str(error)) from None
        document = passed.document()
        return JSONResponse({name: document[name] for name in ("number", "verdict", "meaning", "receipt")})

    def _terminal(self, request: Request) -> LiveTerminal:
        number = request.path_params["terminal"]
        if number not in self._session.terminals:
            raise HTTPException(404, f"no terminal {number}; there are: {', '.join(self._session.terminals) or 'none'}")
        return self._session.terminals[number]

    def _slip(self, request: Request) -> tuple[LiveTerminal, int]:
        live, number = self._terminal(request), request.path_params["number"]
        count = len(live.slips)
        if number >= count:
            raise HTTPException(404, f"no slip {number}; there are {count}")
        return live, number


def _no_message(error: KeyError) -> HTTPException:
    return HTTPException(404, f"no message {error} is kept")


def _picture(png: bytes) -> Response:
    return Response(png, media_type="image/png", headers={"Cache-Control": "no-store"})


async def _body(request: Request) -> dict[str, Any]:
    """A JSON object. Raises HTTPException."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(415, "the body is to be application/json")
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MOST_BODY_BYTES:
            raise HTTPException(413, f"the body is longer than {MOST_BODY_BYTES} bytes")
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"the body is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise HTTPException(400, "the body is to be a JSON object")
    return body


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name, "")
    if not isinstance(value, str):
        raise Wrong(f"{name} is to be a text")
    return value


# The command.


class _Server(uvicorn.Server):
    """Ends by Ctrl-C or a TERM, and nobody else is told of them; pages' streams, which have no end of their own, end with it."""

    def __init__(self, config: uvicorn.Config, session: Session) -> None:
        super().__init__(config)
        self._session = session

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield  # which gets none
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.end)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def end(self) -> None:
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._session.end()
        await super().shutdown(sockets)


def listening(port: int) -> socket.socket:
    """A socket on that port of loopback; 0: on a free one. Raises SimulatorError."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        held.bind((HOST, port))
        held.listen(128)
    except (OSError, OverflowError) as error:
        held.close()
        raise SimulatorError(f"port {port} of {HOST} cannot be had ({error}); name another one with --port") from error
    return held


@contextlib.asynccontextmanager
async def serving(session: Session, listener: socket.socket) -> AsyncIterator[_Server]:
    """The session's page, until it is left. Raises whatever defect ended the session."""
    port = listener.getsockname()[1]
    config = uvicorn.Config(
        application(session, port), log_level="warning", lifespan="off", timeout_graceful_shutdown=END_S, server_header=False
    )
    server = _Server(config, session)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield server
        await asyncio.wait([task, session.watching], return_when=asyncio.FIRST_COMPLETED)
    finally:
        server.end()
        await task
    if session.watching.done():
        session.watching.result()


async def simulate(listener: socket.socket, state: StateFolder, *, broker: str, defaults: dict[str, str], browser: bool) -> None:
    """Serve the page, with the terminals of the last time or a new one on it, until Ctrl-C. Raises SimulatorError, BrokerFailure,
    RegistryError, TerminalFailure.
    """
    session = Session(state, broker=broker, defaults=defaults)
    address = f"http://{HOST}:{listener.getsockname()[1]}/"
    async with session.running():
        for line in session.resumed():
            print(f"reinstate sim: {line}", file=sys.stderr, flush=True)
        if not session.terminals:
            await session.add()
        async with serving(session, listener):
            print(f"reinstate sim: {address} (Ctrl-C ends it)", flush=True)
            if browser and not await asyncio.to_thread(_open, address):
                print("reinstate sim: no browser was found here; open that address in yours", file=sys.stderr, flush=True)


def _open(address: str) -> bool:
    """In a browser with a window; one in this text terminal would be in the way."""
    has_windows = sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return has_windows and webbrowser.open(address)
