"""A pytest plugin: fixtures `terminal` and `acquirer` for whoever tests a board, a changed agent or a back end (docs/testing-your-own.md).

Every pytest of an environment with Reinstate loads this module: nothing else is imported before a test asks for a terminal.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from host_sim.testing import AcquirerSide, Kind, Terminal, World

MARKER = "reinstate"
CHOICES = {"board": "board", "runtime": "runtime", "language": "lang", "time": "time"}  # argument of the marker -> end of the option
BOARDS = "reinstate_boards"
WORLD = "reinstate_world"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("reinstate", "payment terminals")
    for name, end in CHOICES.items():
        group.addoption(
            f"--reinstate-{end}",
            default="",
            metavar=name.upper(),
            help=f"{name} of the terminals in tests that do not say it by a marker; 'all': each test once for each",
        )
    group.addoption(
        "--reinstate-broker", default="embedded", choices=("embedded", "mosquitto"), metavar="BROKER", help="default: %(default)s"
    )
    group.addoption(
        "--reinstate-screens", type=Path, metavar="DIR", help="where the pictures of failed tests are put (default: pytest's folder)"
    )
    parser.addini(BOARDS, "folders of boards of your own, relative to this file", type="paths", default=[])


def pytest_configure(config: pytest.Config) -> None:
    choices = ", ".join(f"{name}=..." for name in CHOICES)
    config.addinivalue_line(
        "markers", f"{MARKER}({choices}): of the terminal of this test; a word, a list of words, or 'all': once for each"
    )


def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Boards of their own are there before anything of theirs is imported."""
    folders: list[Path] = early_config.getini(BOARDS)
    if folders:
        from host_sim.boards import add_boards

        for folder in folders:
            if not folder.is_dir():
                raise pytest.UsageError(f"{BOARDS}: {folder} is no folder")
        add_boards(folders)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with a terminal is run once for each kind of terminal that it is for."""
    if WORLD not in metafunc.fixturenames:
        return
    from host_sim.testing import WorldFailure, kinds

    asked = {name: metafunc.config.getoption(f"--reinstate-{end}") for name, end in CHOICES.items()}
    for marker in reversed(list(metafunc.definition.iter_markers(MARKER))):  # the closest one last
        if marker.args or not marker.kwargs.keys() <= CHOICES.keys():
            pytest.fail(f"{metafunc.definition.nodeid}: the marker {MARKER} takes {', '.join(CHOICES)}, by name", pytrace=False)
        asked |= marker.kwargs
    try:
        found = kinds(**asked, broker=metafunc.config.getoption("--reinstate-broker"))
    except WorldFailure as error:
        raise pytest.fail.Exception(f"{metafunc.definition.nodeid}: {error}", pytrace=False) from None
    metafunc.parametrize(WORLD, found, ids=str, indirect=True)


@pytest.fixture
def reinstate_world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """What `terminal` and `acquirer` of one test have in common; it ends with the test."""
    from host_sim.testing import World

    kind: Kind = request.param
    pictures: Path = request.config.getoption("--reinstate-screens") or tmp_path_factory.getbasetemp() / "reinstate"
    world = request.node.stash[_WORLD] = World(kind, request.config.getoption("--reinstate-broker"), pictures.absolute())
    with world:
        yield world
        if not request.node.stash.get(_HAS_FAILED, False):
            world.terminal.check()  # a program that has crashed meanwhile, and the test did not notice


@pytest.fixture
def terminal(reinstate_world: World) -> Terminal:
    """A payment terminal that an installer has just left: provisioned, and off."""
    return reinstate_world.terminal


@pytest.fixture
def acquirer(reinstate_world: World) -> AcquirerSide:
    """The acquirer of `terminal`, with its broker."""
    return reinstate_world.acquirer


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a person would have seen goes with the report of a test that failed."""
    report = yield
    if report.failed:
        item.stash[_HAS_FAILED] = True
        world = item.stash.get(_WORLD, None)
        if world is not None:
            report.sections += world.evidence(re.sub(r"[^\w.-]+", "-", item.nodeid).strip("-"))
    return report


_WORLD: pytest.StashKey[World] = pytest.StashKey()
_HAS_FAILED: pytest.StashKey[bool] = pytest.StashKey()
