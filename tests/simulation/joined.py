"""A MicroPython process joined to a bench of this process."""

from __future__ import annotations

import asyncio
from pathlib import Path

from host_sim.bench import Bench
from host_sim.machine.server import BenchServer

ROOT = Path(__file__).parents[2]
OVERLAY = ROOT / "host_sim" / "machine" / "overlay"
TIMEOUT_S = 60


async def run_joined(binary: str, bench: Bench, folder: Path, program: str, heap: str = "512k") -> tuple[int, str]:
    """Run the text of a program in a MicroPython process joined to `bench`: its exit status, and what it printed."""
    server = BenchServer(bench, str(folder / "bench"))
    await server.start()
    try:
        process = await asyncio.create_subprocess_exec(
            binary,
            "-X",
            "heapsize=" + heap,
            "-c",
            program,
            cwd=folder,
            env={"MICROPYPATH": f"{OVERLAY}:{ROOT}:.frozen", BenchServer.ENVIRONMENT: str(folder / "bench")},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            said = (await asyncio.wait_for(process.communicate(), TIMEOUT_S))[0].decode()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    finally:
        await server.stop()
    assert process.returncode is not None
    return process.returncode, said
