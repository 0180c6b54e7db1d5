"""The boards there are: the folders of the package `boards`, and those in the folders that REINSTATE_BOARDS names."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import boards as package

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from host_sim.bench import Wire

FURTHER = "REINSTATE_BOARDS"  # of the environment: folders of boards that lie elsewhere, separated as in PATH

# They join the package `boards`: whoever imports this module can import theirs, by the names that they have on the device. This tree's own
# folder is named, too: in a working directory with a folder `boards` Python may have taken that one for the package.
package.__path__ = [
    str(Path(__file__).parent.parent / "boards"),
    *(str(Path(place).resolve()) for place in os.environ.get(FURTHER, "").split(os.pathsep) if place),
]


def add_boards(folders: Iterable[Path]) -> None:
    """From now on the boards in these folders are there, too: for this process, and those that it starts."""
    for folder in folders:
        place = str(folder.resolve())
        if place not in package.__path__:
            package.__path__.append(place)
            os.environ[FURTHER] = os.pathsep.join(filter(None, [os.environ.get(FURTHER), place]))


def board_folders() -> dict[str, Path]:
    """Id -> folder, by name: each folder with a board.json. Of two boards with one id this tree's counts."""
    found: dict[str, Path] = {}
    for place in package.__path__:
        for facts in Path(place).glob("*/board.json"):
            found.setdefault(facts.parent.name, facts.parent)
    return dict(sorted(found.items()))


def boards() -> tuple[str, ...]:
    """The ids of the boards."""
    return tuple(board_folders())


def wiring_of(board: str) -> Mapping[str, Wire]:
    """Part -> how it is wired, for parts whose models the board brings itself: WIRING of its module `wiring`; empty where there is none."""
    name = f"{package.__name__}.{board}.wiring"
    if find_spec(name) is None:
        return {}
    wiring: Mapping[str, Wire] = import_module(name).WIRING
    return wiring
