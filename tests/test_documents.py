"""What the documents say of the tree: links lead somewhere, folders and dependencies are all named, commands exist."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SKIPPED = {".venv", ".git", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", "build", "dist", "out"}
DOCUMENTS = sorted(
    path for path in ROOT.rglob("*.md") if not SKIPPED & set(path.relative_to(ROOT).parts) and not path.is_relative_to(ROOT / "tests")
)
READMES = ("README.md", "README.zh-CN.md")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def anchors(path: Path) -> set[str]:
    """The anchors that a forge makes of the headings."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_link_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        place = document.parent / path if path else document
        assert place.exists(), f"{target} is not there"
        assert not anchor or anchor in anchors(place), f"{target} has no such heading"


@pytest.mark.parametrize("readme", READMES)
def test_the_readme_names_every_folder(readme: str) -> None:
    named = set(re.findall(r"^\| `(\w+)/` \|", (ROOT / readme).read_text(encoding="utf-8"), re.MULTILINE))
    assert named == {path.name for path in ROOT.iterdir() if path.is_dir() and _holds_something(path)}


def _holds_something(folder: Path) -> bool:
    if folder.name.startswith(".") or folder.name in SKIPPED or folder.name.endswith(".egg-info"):
        return False
    return any(path.is_file() and "__pycache__" not in path.parts for path in folder.rglob("*"))


def test_both_readmes_lead_to_the_same_places() -> None:
    pictures = ("-zh-CN.png", "-en.png")  # each shows its own language
    texts = [(ROOT / readme).read_text(encoding="utf-8").replace(*pictures) for readme in READMES]
    places = [set(re.findall(r"\]\(([^)\s]+)\)", text)) for text in texts]
    assert places[0] - {"README.zh-CN.md"} == places[1] - {"README.md"}


@pytest.mark.parametrize("document", (*READMES, "CONTRIBUTING.md"))
def test_every_make_target_that_is_named_exists(document: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", (ROOT / document).read_text(encoding="utf-8"), re.MULTILINE))
    assert named and named <= targets


def test_every_dependency_is_explained_and_no_other() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    groups = {"Installed with the package": config["options"]["install_requires"]}
    groups |= {f"Extra `{name}`": packages for name, packages in config["options.extras_require"].items()}
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    told = {}
    for part in text.split("\n## ")[1:]:
        heading = part.split("\n")[0].split(":")[0]
        told[heading] = sorted(name.lower() for name in re.findall(r"^\| `([\w-]+)` \|", part, re.MULTILINE))
    told.pop("Programs and data from the system")
    assert told == {heading: sorted(map(_package, packages.strip().splitlines())) for heading, packages in groups.items()}


def _package(requirement: str) -> str:
    return re.split(r"[ ;<>=~!\[]", requirement)[0].lower()


def test_the_changelog_has_the_version() -> None:
    from firmware_agent import VERSION

    assert f"## [{VERSION}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
