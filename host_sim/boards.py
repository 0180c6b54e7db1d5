"""The boards there are: the folders of the package `boards`, of this tree and of every other tree on Python's path."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import extend_path
from typing import TYPE_CHECKING

import boards as package

if TYPE_CHECKING:
    from collections.abc import Mapping

    from host_sim.bench import Wire

# The boards of other trees join the package `boards`: their modules are imported by the names that they have on the device.
package.__path__ = extend_path(package.__path__, package.__name__)


def board_folders() -> dict[str, Path]:
    """Id -> folder, by name: each folder with a board.json in a folder `boards` of a tree on Python's path.

    Of two boards with one id the first on the path counts, and this tree's before any other.
    """
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
