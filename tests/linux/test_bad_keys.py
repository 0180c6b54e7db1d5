"""Keys, certificates and the files that bring them, in every wrong state: one line says which and what to do, and the terminal goes on."""

from __future__ import annotations

import asyncio
import datetime
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from firmware_agent.identity.enrolment import Credentials
from host_sim.acquirer.acquirer import Acquirer
from host_sim.acquirer.equipment import software_element
from host_sim.linux.interface import Interface
from host_sim.linux.token import KeyFolder, Token
from host_sim.pki import TestAuthority

ROOT = Path(__file__).parents[2]
AGENT = [sys.executable, "-m", "boards.linux_terminal.main"]
LIMIT_S = 60.0
BROKER = ("127.0.0.1", 1, "localhost")  # where nobody listens
AUTHORITY = TestAuthority()


class Place:
    """A terminal on this machine, with keys in files or on a token."""

    def __init__(self, part: str, folder: Path) -> None:
        self.folder = folder
        self.model: Interface = Token(folder) if part == "pkcs11" else KeyFolder(folder)
        asyncio.run(self.model.start())
        self.configuration = folder / "agent.toml"
        keys = "".join(f"{name} = {value!r}\n" for name, value in self.model.section().items()).replace("'", '"')
        self.configuration.write_text(
            f'[terminal]\nstate = "{folder}/state"\nsocket = "{folder}/agent.sock"\n'
            f'[network]\npart = "interface"\ninterface = "lo"\n[secure_element]\npart = "{part}"\n{keys}'
        )
        self.request = folder / "request"
        self.answer = folder / "credentials"

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*AGENT, *arguments, "--config", str(self.configuration)],
            cwd=ROOT,
            env={**os.environ, **self.model.environment()},
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )

    def ask(self) -> Credentials:
        """The terminal's request by its command, and what its acquirer answers."""
        done = self.run("request", str(self.request))
        assert done.returncode == 0, done.stderr

        async def answered() -> Credentials:
            (self.folder / "acquirer").mkdir(exist_ok=True)
            element = await software_element(self.folder / "acquirer")
            acquirer = Acquirer("acq1", AUTHORITY, element, await element.generate_key(0), lambda: int(time.time()))
            return acquirer.grant(self.request.read_bytes(), "T0000001", BROKER, {})

        return asyncio.run(answered())

    def enrol(self, data: bytes) -> subprocess.CompletedProcess[str]:
        self.answer.write_bytes(data)
        return self.run("enrol", str(self.answer))

    def tested(self) -> list[str]:
        """What the agent says, as a service, until its power-on self-test has ended."""
        process = subprocess.Popen(
            [*AGENT, "run", "--config", str(self.configuration)],
            cwd=ROOT,
            env={**os.environ, **self.model.environment()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines = []
        until_s = time.monotonic() + LIMIT_S
        try:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line.rstrip("\n"))
                assert time.monotonic() < until_s, lines
                if "self-test power_on ended" in line:
                    break
            assert process.poll() is None, lines  # it goes on
        finally:
            process.kill()
            process.wait()
            process.stdout.close()  # type: ignore[union-attr]
        return lines

    def close(self) -> None:
        asyncio.run(self.model.stop())


@pytest.fixture
def files() -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="rb-") as folder:
        made = Place("key_file", Path(folder))
        yield made
        made.close()


# The files that are carried: `reinstate-agent enrol`.


def _pem(certificate_der: bytes) -> bytes:
    return AUTHORITY.certificate_pem if certificate_der == AUTHORITY.certificate_der else b"-----BEGIN CERTIFICATE-----\nMIIB\n"


def _of_another_curve() -> bytes:
    """A certificate on P-384, which no authority of ours issues."""
    key = ec.generate_private_key(ec.SECP384R1())
    name = x509.Name([])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


WRONG_CREDENTIALS: dict[str, tuple[Callable[[Credentials], dict[str, object]], str]] = {
    "signing certificate in PEM": (lambda good: {"certificate": _pem(good.certificate)}, "signing key cannot be read: PEM"),
    "signing certificate cut off": (lambda good: {"certificate": good.certificate[:100]}, "signing key cannot be read: ends too soon"),
    "signing certificate of another curve": (lambda good: {"certificate": _of_another_curve()}, "not a public key on P-256"),
    "signing certificate for another key": (
        lambda good: {"certificate": good.transport_certificate},
        "not for this terminal's signing key: was it asked for again since?",
    ),
    "TLS certificate in PEM": (
        lambda good: {"transport_certificate": _pem(good.transport_certificate)},
        "key for TLS cannot be read: PEM, where DER is due",
    ),
    "TLS certificate missing": (lambda good: {"transport_certificate": b""}, "key for TLS cannot be read: ends too soon"),
    "TLS certificate for another key": (
        lambda good: {"transport_certificate": AUTHORITY.client("T0000001").certificate_der},
        "not for this terminal's key for TLS: was it asked for again since?",
    ),
    "authority in PEM": (lambda good: {"authority": AUTHORITY.certificate_pem}, "authority cannot be read: PEM, where DER is due"),
    "authority cut off": (lambda good: {"authority": good.authority[:200]}, "authority cannot be read: ends too soon"),
    "no key of the acquirer": (lambda good: {"acquirer_keys": []}, "name no key of the acquirer"),
    "half a key of the acquirer": (lambda good: {"acquirer_keys": [bytes(32)]}, "name no key of the acquirer"),
}


def test_credentials_that_are_wrong_are_named_in_one_line_and_the_right_ones_still_count(files: Place) -> None:
    good = files.ask()
    fields = [name for name in vars(good)]
    for what, (change, said) in WRONG_CREDENTIALS.items():
        wrong = Credentials(**{**{name: getattr(good, name) for name in fields}, **change(good)})  # type: ignore[arg-type]
        done = files.enrol(wrong.encoded())
        assert (done.returncode, done.stdout) == (2, ""), what
        assert done.stderr.startswith(f"reinstate-agent: {files.answer}: ") and done.stderr.count("\n") == 1, (what, done.stderr)
        assert said in done.stderr, (what, done.stderr)
    for what, data, said in (
        ("PEM", AUTHORITY.certificate_pem, "PEM, where credentials of an acquirer is due: carry the file as it was written"),
        ("a certificate", AUTHORITY.certificate_der, "this is not credentials of an acquirer"),
        ("cut off", good.encoded()[:-40], "this is not credentials of an acquirer"),
        ("empty", b"", "this is not credentials of an acquirer"),
        ("the request", files.request.read_bytes(), "this is not credentials of an acquirer"),
    ):
        done = files.enrol(data)
        assert done.returncode == 2 and done.stderr.count("\n") == 1, what
        assert done.stderr.startswith(f"reinstate-agent: {files.answer}: ") and said in done.stderr, (what, done.stderr)
    files.answer.unlink()
    done = files.run("enrol", str(files.answer))
    assert (done.returncode, done.stderr) == (2, f"reinstate-agent: {files.answer}: No such file or directory\n")
    done = files.enrol(good.encoded())
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


# What a terminal starts with that was whole once.


def _loosened(place: Place) -> None:
    (place.folder / "keys").chmod(0o755)


def _others_may_read(place: Place) -> None:
    _key(place).chmod(0o644)


def _somebody_elses(place: Place) -> None:
    os.chown(_key(place), 65534, 65534)


def _cut_off(place: Place) -> None:
    _key(place).write_bytes(_key(place).read_bytes()[:101])


def _one_bit(place: Place) -> None:
    data = bytearray(_key(place).read_bytes())
    data[20] ^= 1
    _key(place).write_bytes(data)


def _pem_in_its_place(place: Place) -> None:
    _key(place).write_bytes(AUTHORITY.saved())


def _no_key(place: Place) -> None:
    _key(place).unlink()


def _no_folder(place: Place) -> None:
    shutil.rmtree(place.folder / "keys")


def _key(place: Place) -> Path:
    (key,) = (place.folder / "keys").glob("key.*")
    return key


# What happened to the files; the cause that the self-test gives; what the line names.
WRONG_FILES: list[tuple[Callable[[Place], None], str, str]] = [
    (_loosened, "no_permission", "/keys has to be of user"),
    (_others_may_read, "no_permission", "/keys/key.0.1 has to be of user"),
    (_somebody_elses, "no_permission", "/keys/key.0.1 has to be of user"),
    (_cut_off, "key_missing", "slot 0 is empty"),
    (_one_bit, "key_damaged", "key.0.1 is damaged"),
    (_pem_in_its_place, "key_damaged", "key.0.1 is damaged"),
    (_no_key, "key_missing", "slot 0 is empty"),
    (_no_folder, "unplugged", "there is no folder"),
]


def _goes_on(lines: list[str], cause: str, named: str) -> None:
    """It named what is wrong, found it as a defect of the element, and tested the other devices all the same."""
    assert any(line.startswith(f"diagnosis secure_element {cause} ") for line in lines), lines
    assert any(named in line for line in lines), lines
    for phase in ("storage", "network"):
        assert any(line.startswith(f"self-test {phase} pass") for line in lines), (phase, lines)
    out_of_service = ("state in_service -> suspended ", "state in_service -> out_of_order ")  # and so says the page
    assert [line for line in lines if line.startswith(out_of_service)], lines
    assert not any(line.startswith("crash") or "Traceback" in line for line in lines), lines


@pytest.mark.parametrize(("spoil", "cause", "named"), WRONG_FILES, ids=[row[0].__name__[1:] for row in WRONG_FILES])
def test_a_terminal_with_bad_key_files_starts_names_them_and_tests_its_devices(
    spoil: Callable[[Place], None], cause: str, named: str, files: Place
) -> None:
    if spoil is _somebody_elses and os.geteuid():
        pytest.skip("only root gives files away")
    assert files.enrol(files.ask().encoded()).returncode == 0
    spoil(files)
    _goes_on(files.tested(), cause, named)


@pytest.mark.needs("softhsm2")
@pytest.mark.parametrize("fault", sorted(Token.FAULTS))
def test_a_terminal_with_a_bad_token_starts_names_it_and_tests_its_devices(fault: str) -> None:
    with tempfile.TemporaryDirectory(prefix="rb-") as folder:
        place = Place("pkcs11", Path(folder))
        assert place.enrol(place.ask().encoded()).returncode == 0
        place.model.fault(fault)
        named = {"unplugged": place.model.section()["token"], "key_lost": "slot 0 is empty", "wrong_key": "not the certified key"}
        if fault.startswith("pin_") and fault != "pin_locked" or fault == "wrong_pin":
            named[fault] = str(folder) + "/pin"
        _goes_on(place.tested(), Token.FAULTS[fault].cause, str(named.get(fault, "PIN")))
        place.close()
