"""A release as the acquirer signs it: a terminal of that board finds it good, and nothing else of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from firmware_agent.boot.update import UpdateError, judged
from hal.drivers.linux.linux_clock import LinuxClock
from hal.files import Files
from host_sim.acquirer.equipment import software_element
from host_sim.acquirer.office import Office
from host_sim.cli import main


def test_a_release_is_good_for_its_board_while_nobody_alters_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    office, out = tmp_path / "office", tmp_path / "release"
    assert main(["acquirer", str(office), "--broker", "localhost:8883"]) == 0
    command = ["release", str(office), "--board", "esp32_mpos", "--version", "0.2.0", "-o", str(out)]
    assert main(command) == 0
    assert "version 0.2.0 for esp32_mpos" in capsys.readouterr().out
    assert '"0.2.0"' in (out / "firmware_agent" / "__init__.py").read_text(encoding="utf-8")

    async def judge(board: str) -> str:
        acquirer = await Office(office).acquirer()
        acquirer.registry.close()
        element = await software_element(tmp_path / "element")
        return await judged(Files(str(out)), element, [acquirer.public_key], LinuxClock(), board, "0.1.0")  # type: ignore[arg-type]

    (tmp_path / "element").mkdir()
    assert asyncio.run(judge("esp32_mpos")) == "0.2.0"
    with pytest.raises(UpdateError, match="esp32s3_counter"):
        asyncio.run(judge("esp32s3_counter"))
    (out / "boards" / "esp32_mpos" / "board.json").write_text("{}")
    with pytest.raises(UpdateError, match=r"board\.json"):
        asyncio.run(judge("esp32_mpos"))
    assert main(command) != 0  # it is there already
