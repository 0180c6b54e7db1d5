"""A PostgreSQL cluster of the tests' own."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))  # where Debian has them, of each version
OWNER = "postgres"  # Debian's user for it: it refuses to run as root
LIMIT_S = 60


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """A cluster that is reached by a socket in a folder of its own; gives the URL of an empty database."""
    programs = PROGRAMS[-1]
    folder = Path(tempfile.mkdtemp(prefix="reinstate-pg-"))
    try:
        as_owner = []
        if os.geteuid() == 0:
            owner = pwd.getpwnam(OWNER)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
            as_owner = ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]
        data, log = folder / "data", folder / "log"

        def run(*command: str) -> None:
            done = subprocess.run([*as_owner, *command], cwd="/", capture_output=True, text=True, timeout=LIMIT_S, check=False)
            assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}{log.read_text() if log.exists() else ''}"

        run(str(programs / "initdb"), "-D", str(data), "-U", OWNER, "-A", "trust", "--no-sync", "--no-instructions", "-E", "UTF8")
        settings = f"-c listen_addresses= -c unix_socket_directories={folder}"
        run(str(programs / "pg_ctl"), "-D", str(data), "-l", str(log), "-o", settings, "-w", "start")
        try:
            yield f"postgresql+psycopg://{OWNER}@/postgres?host={folder}"
        finally:
            run(str(programs / "pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder)
