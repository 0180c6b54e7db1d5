"""The command `reinstate-agent` as a service manager and a technician meet it: real processes, real sockets, real signals."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from boards.linux_terminal import board, command
from boards.linux_terminal.configuration import load, toml_value
from boards.linux_terminal.desk import MOST_CONNECTIONS, MOST_QUESTION_BYTES, DeskError, NobodyThere, ask
from boards.linux_terminal.main import main
from boards.linux_terminal.process import APPLICATION_ID, RUNNING, TRACE, Process, application_id, boot_id, sole_use
from boards.linux_terminal.service import Log, Manager
from firmware_agent.boot.boot_guard import BY_POWER, BootGuard
from firmware_agent.links.link import LinkSettings, Tls
from firmware_agent.links.mqtt_paho import MqttPahoLink
from firmware_agent.start import _why
from firmware_agent.state.machine import Suspended
from firmware_agent.state.reasons import ACTOR_HOST, Reason
from firmware_agent.store import Store
from hal.drivers.linux.framebuffer import FB_BLANK_POWERDOWN, FB_BLANK_UNBLANK
from hal.files import Files
from host_sim.acquirer.acquirer import Acquirer, running
from host_sim.acquirer.equipment import software_element, started_clock
from host_sim.brokers import EmbeddedBroker, free_port
from host_sim.cli import main as reinstate
from host_sim.linux.framebuffer_file import FramebufferFile
from host_sim.pki import TestAuthority
from host_sim.provision import SLOT, provision

ROOT = Path(__file__).parents[2]
AGENT = [sys.executable, "-m", "boards.linux_terminal.main"]
STARTED = "import sys; from boards.linux_terminal.main import main; sys.exit(main())"
LIMIT_S = 30.0  # for anything to happen: a machine that is busy takes its time
WATCHDOG_S = 30.0
NOBODY = 65534
ACQUIRER, TERMINAL = "acq1", "T-0001"
# What is tested of a terminal without devices, by the plan of power-on.
PHASES = ["power", "firmware", "storage", "clock", "secure_element", "secure_element.keys", "certificate", "network"]


class Place:
    """A folder for one terminal: its configuration, its state, its keys, and the service manager's socket. Short, for sockets lie in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.keys = folder / "keys"
        self.socket = folder / "agent.sock"
        self.configuration = folder / "agent.toml"
        self.keys.mkdir(mode=0o700)
        self.configure('[network]\npart = "interface"\ninterface = "lo"\n')
        self.notifications = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notifications.bind(str(folder / "notify"))
        self.started: list[Agent] = []

    def configure(self, devices: str = "") -> None:
        self.configuration.write_text(
            f'[terminal]\nstate = "{self.state}"\nsocket = "{self.socket}"\n'
            f'[secure_element]\npart = "key_file"\nfolder = "{self.keys}"\n{devices}'
        )

    def start(self, *, watchdog: bool = True, defect: str = "") -> Agent:
        """defect: statements that put one into the program."""
        environment = {**os.environ, "NOTIFY_SOCKET": str(self.folder / "notify")}
        if watchdog:
            environment["WATCHDOG_USEC"] = str(int(WATCHDOG_S * 1_000_000))
        process = subprocess.Popen(
            [*([sys.executable, "-c", defect + STARTED] if defect else AGENT), "run", "--config", str(self.configuration)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.started.append(Agent(process))
        return self.started[-1]

    def notified(self, word: str, limit_s: float = LIMIT_S) -> str:
        """The next notification that begins with this word; those before it are dropped. '' when none comes in time."""
        until_s = time.monotonic() + limit_s
        while select.select([self.notifications], [], [], max(0.0, until_s - time.monotonic()))[0]:
            for line in self.notifications.recv(4096).decode().split("\n"):
                if line.startswith(word):
                    return line
        return ""

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another process of the command, until it ends."""
        return subprocess.run(
            [*AGENT, *arguments, "--config", str(self.configuration)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )

    def wrongly(self, *arguments: str) -> str:
        """What the command says on stderr where nothing is even begun, in this process."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                code = main([*arguments, "--config", str(self.configuration)])
            except SystemExit as wrong_usage:
                code = int(str(wrong_usage.code))
        assert code == 2
        return said.getvalue()

    def next_start(self, boot: str = "") -> tuple[Process, BootGuard]:
        """What the next start would say of the one before it."""
        process = Process(Files(str(self.state)), lambda line: None, boot or boot_id(), None)
        process.begin()
        guard = BootGuard(Files(str(self.state)))
        guard.count(_why(process))
        process.end()
        return process, guard

    def close(self) -> None:
        for agent in self.started:
            agent.process.kill()
            agent.process.wait()
            agent.process.stdout.close()  # type: ignore[union-attr]
        self.notifications.close()


class Agent:
    """A process of `reinstate-agent run`, and what it has printed."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.said = ""

    def wait_for(self, words: str) -> None:
        """Until it has printed them."""
        until_s = time.monotonic() + LIMIT_S
        assert self.process.stdout is not None
        while words not in self.said:
            ready = select.select([self.process.stdout], [], [], max(0.0, until_s - time.monotonic()))[0]
            data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            assert data, f"{words!r} did not come; it said:\n{self.said}"
            self.said += data.decode()

    def end(self, number: int) -> int:
        """Send it a signal; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(LIMIT_S)


@contextlib.contextmanager
def a_place() -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="ra-") as folder:
        made = Place(Path(folder))
        try:
            yield made
        finally:
            made.close()


@pytest.fixture
def place() -> Iterator[Place]:
    with a_place() as made:
        yield made


@pytest.fixture(scope="module")
def running_agent() -> Iterator[tuple[Place, Agent]]:
    """An agent that is past its power-on self-test, for tests that leave it as it was."""
    with a_place() as made:
        agent = made.start()
        agent.wait_for("self-test power_on ended")
        yield made, agent


# The service manager.


def test_it_says_ready_feeds_the_watchdog_and_ends_in_order(place: Place) -> None:
    agent = place.start()
    assert place.notified("READY=1")
    assert place.notified("STATUS=") == "STATUS=degraded not provisioned: no identity in the store"
    assert place.notified("WATCHDOG=1") and place.notified("WATCHDOG=1")
    assert (place.state / RUNNING).read_text() == boot_id()
    assert agent.end(signal.SIGTERM) == 0
    assert place.notified("STOPPING=1")
    assert not (place.state / RUNNING).exists() and not (place.state / TRACE).exists() and not place.socket.exists()
    _, guard = place.next_start()
    assert (guard.crashes, guard.power_losses, guard.number) == (0, 0, 2)


def test_it_is_ready_where_nobody_watches_and_ends_on_the_keyboards_word_too(place: Place) -> None:
    agent = place.start(watchdog=False)
    assert place.notified("READY=1")
    assert not place.notified("WATCHDOG=1", 1.5)
    assert agent.end(signal.SIGINT) == 0


def test_an_end_that_was_asked_for_is_no_power_loss_though_the_start_had_not_come_far(place: Place) -> None:
    agent = place.start(defect="import asyncio; from hal.hal import Hal; Hal.bring_up = lambda self, kinds: asyncio.sleep(600);")
    assert place.notified("READY=1")
    assert agent.end(signal.SIGTERM) == 0
    _, guard = place.next_start()
    assert (guard.number, guard.crashes, guard.power_losses) == (2, 0, 0)


def test_at_its_end_the_panels_light_goes_out(place: Place) -> None:
    (place.folder / "panel").mkdir()
    panel = FramebufferFile(place.folder / "panel")
    asyncio.run(panel.start())
    keys = "".join(f"{key} = {toml_value(value)}\n" for key, value in panel.section().items())
    place.configure('[display]\npart = "framebuffer"\n' + keys)
    light = next((place.folder / "panel").rglob("bl_power"))
    agent = place.start()
    agent.wait_for("self-test power_on ended")
    assert light.read_text().strip() == str(FB_BLANK_UNBLANK)
    assert agent.end(signal.SIGTERM) == 0
    assert light.read_text().strip() == str(FB_BLANK_POWERDOWN)


def test_what_is_killed_again_and_again_is_a_crash_and_the_fourth_start_is_safe(place: Place) -> None:
    for _ in range(3):
        agent = place.start()
        assert place.notified("READY=1")
        assert agent.end(signal.SIGKILL) == -signal.SIGKILL
    agent = place.start()
    agent.wait_for("safe mode: 3 crashes, 0 power losses; reset")
    done = place.run("selftest", "--plan", "power_on")
    assert done.returncode == 2
    assert "safe mode" in done.stderr and done.stderr.count("\n") == 1


def test_a_power_cut_is_no_crash(place: Place) -> None:
    agent = place.start()
    agent.wait_for("self-test power_on ended")
    agent.end(signal.SIGKILL)
    process, guard = place.next_start(boot="another-boot-of-the-kernel")
    assert process.reset_cause() == process.PWRON_RESET
    assert (guard.started, guard.crashes) == (BY_POWER, 0)


def test_a_loop_that_hangs_no_longer_feeds_and_its_end_tells_where_it_stood(place: Place) -> None:
    agent = place.start(defect="import time; from hal.hal import Hal; Hal.bring_up = lambda self, kinds: time.sleep(600);")
    assert place.notified("READY=1") and place.notified("WATCHDOG=1")
    assert not place.notified("WATCHDOG=1", 2.5)
    assert agent.end(signal.SIGABRT) == -signal.SIGABRT  # what a service manager does then
    told: list[str] = []
    process = Process(Files(str(place.state)), told.append, boot_id(), None)
    process.begin()
    assert process.reset_cause() == process.WDT_RESET
    assert told[0] == "ended Fatal Python error: Aborted"
    assert any('agent.py"' in line and "in _serve" in line for line in told)
    process.end()


def test_what_its_watchdog_ended_is_counted_as_such(place: Place) -> None:
    agent = place.start()
    assert place.notified("READY=1")
    assert agent.end(signal.SIGABRT) == -signal.SIGABRT
    _, guard = place.next_start()
    assert guard.crashes == 1 and guard.last_crash.startswith("watchdog")


def test_a_crash_ends_with_the_code_for_again_and_is_counted(place: Place) -> None:
    agent = place.start(defect="from hal.hal import Hal; Hal.bring_up = lambda self, kinds: 1 // 0;")
    agent.wait_for("crash ZeroDivisionError <string>:1")
    assert agent.process.wait(LIMIT_S) == 75
    _, guard = place.next_start()
    assert guard.crashes == 1 and guard.last_crash.startswith("ZeroDivisionError")


# One agent only.


def test_a_second_agent_says_so_in_one_line(running_agent: tuple[Place, Agent]) -> None:
    place, agent = running_agent
    done = place.run("run")
    assert done.returncode == 2
    assert done.stderr == f"reinstate-agent: {place.state} is in use by another agent or self-test\n"
    assert ask(str(place.socket), {"plan": "device.storage"})["bad"] is False  # the first one serves as before


def test_an_agent_does_not_start_beside_a_self_test(place: Place) -> None:
    with sole_use(str(place.state)):  # as the self-test has it
        for name in ("run", "selftest"):
            assert place.wrongly(name) == f"reinstate-agent: {place.state} is in use by another agent or self-test\n"


# selftest


def test_a_running_agent_tests_its_devices_itself(running_agent: tuple[Place, Agent]) -> None:
    place, agent = running_agent
    done = place.run("selftest", "--plan", "power_on", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["plan"] == "power_on" and document["board"] == "linux_terminal"
    assert [result["phase"] for result in document["results"]] == PHASES
    assert {result["outcome"] for result in document["results"]} == {"pass", "skip"}
    for name in ("device.storage", "device.network"):
        answer = ask(str(place.socket), {"plan": name})
        assert json.loads(str(answer["json"]))["plan"] == name
        agent.wait_for(f"self-test {name} ended")


def test_only_user_and_group_may_ask(running_agent: tuple[Place, Agent]) -> None:
    place, _ = running_agent
    assert stat.S_IMODE(place.socket.stat().st_mode) == 0o660


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ({"plan": "quick"}, "no plan 'quick'; there are: power_on, daily, full, reactivation, device.<device>"),
        ({"plan": "device.printer"}, "no device 'printer'; there are: certificate, clock, "),
        ({"only": "toaster"}, "no phase or device 'toaster'; there are: certificate, clock, firmware, network, power, secure_element, "),
        ({"level": "high"}, "no level 'high'; there are: internal, external, interactive"),
        ({"only": "network.path"}, "the agent runs, and tests whole plans only"),
        ({"plan": "reactivation", "only": "storage"}, "nothing of storage is in plan reactivation"),
        ({"plan": 7}, "no plan '7'"),
    ],
)
def test_what_there_is_not_is_refused_with_what_there_is(
    running_agent: tuple[Place, Agent], question: dict[str, object], said: str
) -> None:
    place, _ = running_agent
    assert str(ask(str(place.socket), question)["refused"]).startswith(said)


@pytest.mark.parametrize("question", [b"", b"{\n", b"[1]\n", b"\xff\n", b"x" * (MOST_QUESTION_BYTES + 1) + b"\n", b"[" * 500 + b"\n"])
def test_who_asks_nonsense_gets_no_answer_and_does_no_harm(running_agent: tuple[Place, Agent], question: bytes) -> None:
    place, _ = running_agent
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(LIMIT_S)
        caller.connect(str(place.socket))
        caller.sendall(question)
        caller.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            assert caller.recv(100) == b""
    assert "refused" in ask(str(place.socket), {"plan": "quick"})


def test_more_callers_than_there_is_room_for_are_turned_away(running_agent: tuple[Place, Agent]) -> None:
    place, _ = running_agent
    with contextlib.ExitStack() as callers:
        for _ in range(MOST_CONNECTIONS):
            caller = callers.enter_context(socket.socket(socket.AF_UNIX))
            caller.connect(str(place.socket))
        with pytest.raises(DeskError):
            ask(str(place.socket), {"plan": "quick"})


def test_without_an_agent_the_devices_are_tested_from_the_shell(place: Place, tmp_path: Path) -> None:
    junit = tmp_path / "report.xml"
    done = place.run("selftest", "--level", "internal", "--json", "--junit", str(junit))
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert [result["phase"] for result in document["results"]] == PHASES
    assert (document["plan"], document["terminal"], document["mode"]) == ("power_on", "", "")
    suite = ElementTree.parse(junit).getroot()[0]
    assert [case.get("name") for case in suite.iter("testcase")] == PHASES
    assert not (place.state / RUNNING).exists() and not place.socket.exists()


def test_one_phase_or_one_device_can_be_tested_alone(place: Place) -> None:
    for only, phases in (("secure_element.keys", ["secure_element.keys"]), ("secure_element", PHASES[4:6])):
        done = place.run("selftest", "--only", only, "--json")
        document = json.loads(done.stdout)
        assert document["plan"] == "device.secure_element"
        assert [result["phase"] for result in document["results"]] == phases
    done = place.run("selftest", "--only", "network", "--level", "internal", "--json")
    assert [result["phase"] for result in json.loads(done.stdout)["results"]] == ["network"]


def test_a_device_that_fails_is_exit_code_1_and_told_in_words(place: Place) -> None:
    place.keys.rmdir()
    done = place.run("selftest", "--only", "secure_element")
    assert done.returncode == 1
    assert "secure_element broken: unplugged" in done.stdout
    assert done.stdout.endswith("plan device.secure_element: 2 phases, 1 failed\n")


def test_a_device_that_comes_while_the_agent_runs_is_found(place: Place) -> None:
    place.keys.rmdir()
    agent = place.start()
    agent.wait_for("diagnosis secure_element unplugged")
    assert ask(str(place.socket), {"plan": "device.secure_element"})["bad"] is True
    place.keys.mkdir(mode=0o700)
    assert ask(str(place.socket), {"plan": "device.secure_element"})["bad"] is False


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["selftest", "--plan", "quick"], "no plan 'quick'; there are: power_on, daily,"),
        (["selftest", "--only", "toaster"], "no phase or device 'toaster'; there are: certificate,"),
        (["selftest", "--level", "high"], "(choose from"),
        (["selftest", "--plan", "daily", "--level", "internal"], "not allowed with"),
        (["selftest", "--plan", "power_on", "--junit", "/proc/report"], "/proc/report: "),
        (["dance"], "(choose from"),
    ],
)
def test_wrong_usage_is_exit_code_2(place: Place, arguments: list[str], said: str) -> None:
    assert said in place.wrongly(*arguments)


def test_an_agent_that_is_not_there_is_told_from_one_that_gives_no_answer(tmp_path: Path) -> None:
    with pytest.raises(NobodyThere):
        ask(str(tmp_path / "nowhere"), {})
    with pytest.raises(DeskError, match="cannot be asked at"):
        ask("x" * 200, {})


@pytest.mark.needs("root")
def test_who_is_not_in_the_agents_group_is_told_that_he_may_not_ask(running_agent: tuple[Place, Agent]) -> None:
    place, _ = running_agent
    place.folder.chmod(0o755)  # so that it is the socket that refuses
    user, group, groups = os.geteuid(), os.getegid(), os.getgroups()
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        with pytest.raises(DeskError, match=f"^the agent cannot be asked at {place.socket}: Permission denied$"):
            ask(str(place.socket), {"plan": "quick"})
    finally:
        os.seteuid(user)
        os.setegid(group)
        os.setgroups(groups)


# Configuration and places.


@pytest.mark.parametrize("arguments", [["run"], ["selftest"]])
def test_a_wrong_configuration_is_one_line_and_exit_code_2(place: Place, arguments: list[str]) -> None:
    place.configure("[display]\npart = 'crt'\n")
    done = place.run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f'reinstate-agent: {place.configuration}:8: display.part: there is no such part; allowed: "framebuffer", "tty"\n'


def test_what_only_a_driver_can_judge_is_one_line_and_exit_code_2(place: Place) -> None:
    place.configure('[printer]\npart = "escpos_network"\nhost = "127.0.0.1"\nwidth_dots = 13\n')
    said = place.wrongly("run")
    assert said.startswith(f"reinstate-agent: {place.configuration}:7: printer: width_dots 13") and said.count("\n") == 1


@pytest.mark.parametrize("arguments", [["run"], ["selftest"]])
def test_a_state_folder_that_cannot_be_is_one_line_and_exit_code_2(place: Place, arguments: list[str]) -> None:
    place.state = Path("/proc/no/state")
    place.configure()
    said = place.wrongly(*arguments)
    assert said.startswith("reinstate-agent: /proc/no") and said.count("\n") == 1


def test_a_socket_that_cannot_be_is_one_line_and_exit_code_2(place: Place) -> None:
    place.socket = place.folder / "nowhere" / "agent.sock"
    place.configure()
    assert place.wrongly("run") == f"reinstate-agent: {place.socket}: No such file or directory\n"


@pytest.mark.needs("root")
def test_on_a_disk_that_takes_nothing_the_agent_runs_and_says_so(place: Place) -> None:
    place.state.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "reinstate", str(place.state)], check=True, timeout=LIMIT_S)
    try:
        agent = place.start()
        agent.wait_for("this start could not be marked: Read-only file system")
        agent.wait_for("diagnosis storage not_writable")
        assert agent.end(signal.SIGTERM) == 0
    finally:
        subprocess.run(["umount", "--lazy", str(place.state)], check=True, timeout=LIMIT_S)


# A terminal with an identity.


async def provisioned(place: Place, authority: TestAuthority, port: int) -> Acquirer:
    place.state.mkdir(mode=0o700)
    place.configure()  # without a network device: the broker's address is this machine's
    (place.folder / "acquirer").mkdir()
    element = await software_element(place.folder / "acquirer")
    public_key = await element.generate_key(SLOT)
    clock = await started_clock()
    acquirer = Acquirer(ACQUIRER, authority, element, public_key, clock.wall_s)
    configuration = load(str(place.configuration))
    hal = command.devices_of(configuration, command.platform_of(configuration, lambda line: None))
    await provision(hal, TERMINAL, acquirer, authority, port, {})
    return acquirer


def test_the_report_of_a_terminal_is_the_same_from_the_agent_and_from_the_shell(place: Place) -> None:
    asyncio.run(provisioned(place, TestAuthority(), free_port()))
    documents = []
    done = place.run("selftest", "--plan", "power_on", "--json")
    assert done.returncode == 0, done.stderr
    documents.append(json.loads(done.stdout))
    agent = place.start()
    agent.wait_for("self-test power_on ended, 0 found")
    done = place.run("selftest", "--plan", "power_on", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    documents.append(json.loads(done.stdout))
    for document in documents:
        assert (document["terminal"], document["mode"], document["plan"]) == (TERMINAL, "in_service", "power_on")
    assert documents[0]["sequence"] < documents[1]["sequence"]
    phases = [[result["phase"] for result in document["results"]] for document in documents]
    assert phases[0] == phases[1] == [phase for phase in PHASES if phase != "network"]
    assert agent.end(signal.SIGTERM) == 0


def test_two_self_tests_from_the_shell_say_two_things(place: Place) -> None:
    asyncio.run(provisioned(place, TestAuthority(), free_port()))
    documents = [json.loads(place.run("selftest", "--plan", "power_on", "--json").stdout) for _ in range(2)]
    assert documents[0]["sequence"] < documents[1]["sequence"]


# export


def exported(place: Place, acquirer: Acquirer, what: str) -> str:
    """What `reinstate verify` says of it."""
    file, certificate = place.folder / what, place.folder / "certificate.pem"
    done = place.run("export", what, str(file))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{file}: verify it with")
    point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + acquirer.accounts[TERMINAL].public_key)
    certificate.write_bytes(point.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert reinstate(["verify", str(file), "--key", str(certificate)]) == 0
    return said.getvalue()


def test_records_are_written_to_files_that_reinstate_verify_takes_with_a_running_agent_and_without(place: Place) -> None:
    acquirer = asyncio.run(provisioned(place, TestAuthority(), free_port()))
    done = place.run("export", "summary", str(place.folder / "summary"))
    assert done.returncode == 2 and done.stderr == "reinstate-agent: this terminal was never suspended: there is no summary\n"
    agent = place.start()
    agent.wait_for("self-test power_on ended, 0 found")
    assert place.run("export", "summary", str(place.folder / "summary")).stderr == done.stderr
    counts = []
    for _ in range(2):
        assert "signature good, the log is whole" in exported(place, acquirer, "evidence")
        (count,) = [line for line in exported(place, acquirer, "audit").splitlines() if "count" in line]
        counts.append(count)
        if agent.process.poll() is None:
            assert agent.end(signal.SIGTERM) == 0
    assert counts[0] and counts[1]


def test_the_summary_of_a_suspension_that_goes_on_is_exported(place: Place) -> None:
    acquirer = asyncio.run(provisioned(place, TestAuthority(), free_port()))
    asyncio.run(suspended(place))
    assert "violation" in exported(place, acquirer, "summary")
    agent = place.start()
    agent.wait_for("self-test power_on ended, 0 found")
    assert "violation" in exported(place, acquirer, "summary")
    assert agent.end(signal.SIGTERM) == 0


async def suspended(place: Place) -> None:
    """By the acquirer's order, as it stands in the memory of a terminal that is off."""
    configuration = load(str(place.configuration))
    hal = command.devices_of(configuration, command.platform_of(configuration, lambda line: None))
    await hal.bring_up(("clock", "storage", "secure_element"))
    store = Store(hal.storage)
    store.open()
    terminal = await command.terminal_at(hal, store, lambda line: None)
    terminal.booted()
    terminal.apply([Suspended(Reason("violation", ACTOR_HOST))])


@pytest.mark.parametrize(("question", "said"), [({"export": "everything"}, "no record 'everything'; there are: evidence, audit, summary")])
def test_a_record_that_there_is_not_is_refused_with_those_that_there_are(place: Place, question: dict[str, object], said: str) -> None:
    asyncio.run(provisioned(place, TestAuthority(), free_port()))
    agent = place.start()
    agent.wait_for("self-test power_on ended, 0 found")
    assert ask(str(place.socket), question) == {"refused": said}


def test_a_terminal_without_an_identity_has_no_records(running_agent: tuple[Place, Agent]) -> None:
    place, _ = running_agent
    done = place.run("export", "audit", str(place.folder / "audit"))
    assert done.returncode == 2 and "has no identity" in done.stderr and done.stderr.count("\n") == 1
    assert not (place.folder / "audit").exists()


@pytest.mark.needs("root")
def test_what_root_does_with_the_memory_is_the_agents_users(place: Place) -> None:
    place.state.mkdir()
    os.chown(place.state, NOBODY, NOBODY)
    place.folder.chmod(0o755)
    with command._as_owner(str(place.state)):
        (place.state / "x").write_text("")
        with pytest.raises(PermissionError):
            (place.folder / "y").write_text("")
    assert ((place.state / "x").stat().st_uid, (place.state / "x").stat().st_gid) == (NOBODY, NOBODY)
    assert (os.geteuid(), os.getegid()) == (0, 0)


def test_an_end_in_order_tells_the_acquirer_what_the_last_will_would(place: Place) -> None:
    async def program() -> None:
        authority = TestAuthority()
        (place.folder / "broker").mkdir()
        broker = EmbeddedBroker(place.folder / "broker", authority, ACQUIRER)
        await broker.start()
        try:
            acquirer = await provisioned(place, authority, broker.port)
            credential = authority.client(ACQUIRER)
            tls = Tls(authority.certificate_der, credential.certificate_der, credential.private_key_der, "localhost")
            link = MqttPahoLink(LinkSettings("127.0.0.1", broker.port, ACQUIRER, 30, tls), await started_clock())
            async with running(acquirer, link):
                agent = place.start()
                account = acquirer.accounts[TERMINAL]
                await acquirer.wait_until(lambda: account.online, LIMIT_S)
                agent.process.send_signal(signal.SIGTERM)
                await acquirer.wait_until(lambda: not account.online, LIMIT_S)
                assert await asyncio.to_thread(agent.process.wait, LIMIT_S) == 0
                assert acquirer.refused == []
        finally:
            await broker.stop()

    asyncio.run(program())


# The journal, the machine's id, the unit.


def test_lines_go_to_the_journal_with_their_fields_where_stderr_is_it(tmp_path: Path) -> None:
    program = (
        "import os, sys; from boards.linux_terminal.service import Log, Manager;"
        "status = os.fstat(2); os.environ['JOURNAL_STREAM'] = '%d:%d' % (status.st_dev, status.st_ino);"
        "log = Log(os.environ, Manager(os.environ), sys.argv[1]);"
        "[log(line) for line in ('diagnosis printer paper_out by printer fail', 'crash RuntimeError a.py:1', 'boot 3 a\\nPRIORITY=0')]"
    )
    with tempfile.TemporaryDirectory(prefix="ra-") as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        path = folder + "/journal"
        arguments = [sys.executable, "-c", program, path]
        journal.bind(path)
        journal.settimeout(LIMIT_S)
        with (tmp_path / "stderr").open("wb") as stderr:
            done = subprocess.run(arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, timeout=LIMIT_S, check=True)
        entries = [dict(field.split("=", 1) for field in journal.recv(4096).decode().splitlines()) for _ in range(3)]
        assert done.stdout == b""
        assert entries[0] == {
            "MESSAGE": "diagnosis printer paper_out by printer fail",
            "PRIORITY": "4",
            "SYSLOG_IDENTIFIER": "reinstate-agent",
            "REINSTATE_EVENT": "diagnosis",
            "REINSTATE_COMPONENT": "printer",
            "REINSTATE_CAUSE": "paper_out",
        }
        assert (entries[1]["PRIORITY"], entries[1]["REINSTATE_EVENT"]) == ("2", "crash")
        assert (entries[2]["MESSAGE"], entries[2]["PRIORITY"]) == ("boot 3 a?PRIORITY=0", "6")  # one entry stays one
        journal.close()
        with (tmp_path / "stderr").open("wb") as stderr:  # a journal that does not listen
            done = subprocess.run(arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, timeout=LIMIT_S, check=True)
        assert done.stdout.splitlines()[1] == b"crash RuntimeError a.py:1"


def test_without_a_journal_lines_go_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    Log({}, Manager({}))("boot 3 firmware 1")
    assert capsys.readouterr().out == "boot 3 firmware 1\n"


def test_a_watchdog_that_is_for_another_process_is_not_ours() -> None:
    environment = {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "20000000"}
    assert Manager(environment).limit_ms == 20000
    assert Manager({**environment, "WATCHDOG_PID": str(os.getpid())}).limit_ms == 20000
    assert Manager({**environment, "WATCHDOG_PID": "1"}).limit_ms == 0
    assert Manager({"WATCHDOG_USEC": "20000000"}).limit_ms == 0


def test_a_service_manager_may_listen_at_a_name_that_is_no_file() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0reinstate-{os.getpid()}")
        listening.settimeout(LIMIT_S)
        Manager({"NOTIFY_SOCKET": f"@reinstate-{os.getpid()}"}).tell("READY=1", "STATUS=x")
        assert listening.recv(100) == b"READY=1\nSTATUS=x"


@pytest.mark.needs("systemd-id128")
def test_the_machines_id_is_as_systemd_makes_it_for_a_program() -> None:
    arguments = ["systemd-id128", "machine-id", "--app-specific", APPLICATION_ID.hex()]
    ours = application_id(bytes.fromhex(Path("/etc/machine-id").read_text().strip())).hex()
    assert subprocess.run(arguments, capture_output=True, text=True, timeout=LIMIT_S, check=True).stdout.strip() == ours


@pytest.mark.needs("systemd-analyze")
def test_the_unit_is_one_that_systemd_understands(tmp_path: Path) -> None:
    unit = tmp_path / "reinstate-agent.service"
    text = (Path(board.__file__).parent / unit.name).read_text(encoding="utf-8")
    assert f"RestartPreventExitStatus={command.WRONG_USAGE}\n" in text and "Type=notify\n" in text
    unit.write_text(text.replace("/usr/local/bin/reinstate-agent", shutil.which("true") or ""), encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
