"""docs/install-linux.md as a new user follows it: every command of the page, in its order, on a copy of this machine's file system."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "install-linux.md"
WRITTEN = ("/etc", "/opt", "/root", "/run", "/srv", "/usr", "/var")  # where the page's commands write: a layer of its own over each
LIMIT_S = 500
# No service manager runs here: what its unit says is started as it would start it, and ended with the test.
SYSTEMCTL = r"""
systemctl() {
    case "$1" in
    daemon-reload) ! command -v systemd-analyze > /dev/null || systemd-analyze verify --man=no "$UNIT" ;;
    enable | start)
        install -d -o reinstate -g reinstate -m 0750 /run/reinstate
        : > /tmp/agent.log
        command=$(sed -n 's/^ExecStart=//p' "$UNIT")
        STATE_DIRECTORY=/var/lib/reinstate RUNTIME_DIRECTORY=/run/reinstate \
            setsid setpriv --reuid reinstate --regid reinstate --init-groups $command > /tmp/agent.log 2>&1 &
        AGENT=$!
        timeout 60 sh -c 'until [ -S /run/reinstate/agent.sock ]; do sleep 0.1; done'  # it is of type notify: started when it is ready
        ;;
    status) kill -0 "$AGENT" ;;
    stop) kill "$AGENT" && wait "$AGENT" ;;
    *) echo "no systemctl $1 here"; return 1 ;;
    esac
}
journalctl() { cat /tmp/agent.log; }
"""


def commands() -> list[str]:
    """The lines of the page that are marked as commands."""
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def script(folder: Path) -> str:
    """Each command is told, then carried out; the first that fails ends it. What it writes is in layers that are gone with it."""
    lines = ["set -e", f"mount -t tmpfs layers {folder}", "UNIT=/etc/systemd/system/reinstate-agent.service"]
    for place in WRITTEN:
        layer = f"{folder}{place}"
        lines.append(f"mkdir -p {layer}/new {layer}/work")
        lines.append(f"mount -t overlay overlay -o lowerdir={place},upperdir={layer}/new,workdir={layer}/work {place}")
    lines += [f"cp {folder.parent}/*.whl /root/", "mount -t tmpfs -o mode=1777 tmp /tmp", SYSTEMCTL]
    for command in commands():
        lines += [f"echo {shlex.quote('$ ' + command)}", command]
    lines.append("echo the page is at its end")
    return "\n".join(lines) + "\n"


def test_the_page_has_commands_and_a_summary_of_all_of_them() -> None:
    told = " ".join(commands())
    for program in ("pipx install", "useradd", "reinstate-agent detect", "reinstate-agent selftest", "systemctl enable", "reinstate watch"):
        assert program in told


@pytest.mark.needs("root")
@pytest.mark.timeout(LIMIT_S + 60)
def test_who_follows_the_page_has_a_terminal_that_reports_to_a_broker(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, timeout=LIMIT_S)
    layers = tmp_path / "layers"
    layers.mkdir()
    page = tmp_path / "page.sh"
    page.write_text(script(layers))
    environment = {"HOME": "/root", "DEBIAN_FRONTEND": "noninteractive"}
    environment["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    environment |= {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "REQUESTS_", "http", "no_proxy"))}
    with (tmp_path / "told").open("w+") as told:
        run = subprocess.Popen(
            # With its first process everything ends that was started in a namespace of processes.
            ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", str(page)],
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=subprocess.STDOUT,
        )
        try:
            code = run.wait(LIMIT_S)
        finally:
            run.kill()
            run.wait()
        told.seek(0)
        text = told.read()
    assert code == 0 and "the page is at its end" in text, text[-6000:]
    assert "T0000001: verified state in_service OPER online" in text, text[-3000:]
    assert "T0000001: obeyed" in text
    assert "T0000001.evidence: verify it with" in text
    assert "version 0.1.1 runs from the next start on" in text and "is what runs from the next start on" in text
