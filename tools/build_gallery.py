"""Draws the gallery: every page of tools/sample_pages.py on each board's display, in both languages, as the terminal itself draws it.

    python tools/build_gallery.py [--accept]

The pictures are in build/gallery, with an index.html. docs/gallery.sha256 has a line for each that was accepted; where one differs,
build/gallery/changes.html shows both, and the command exits with 1. --accept takes over those of now. Of an accepted picture git has
no more than the hash: it is shown where it was drawn in this folder before, for pictures that are accepted stay there.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import html
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from PIL import Image  # noqa: E402

from firmware_agent.flows.handout import draw_code  # noqa: E402
from firmware_agent.screens.page import Page  # noqa: E402
from firmware_agent.screens.page_view import PageView  # noqa: E402
from firmware_agent.texts import LANGUAGES, Texts, load  # noqa: E402
from hal.drivers.linux.framebuffer import Framebuffer  # noqa: E402
from host_sim.boards import board_folders  # noqa: E402
from host_sim.linux.framebuffer_file import FramebufferFile  # noqa: E402
from tools.sample_pages import samples, windows_of  # noqa: E402
from tools.sample_terminal import Sample, Scene, WholeFont, boards_with_display  # noqa: E402

if TYPE_CHECKING:
    from hal.display import Display

FOLDER = ROOT / "build" / "gallery"
ACCEPTED = ROOT / "docs" / "gallery.sha256"
ACCEPT = "make gallery ACCEPT=1"
GAP_PX = 4  # between the windows of a page that is scrolled
GAP = (128, 128, 128)
SMALL_PX = 200  # displays that are less wide are shown three times as large


class Picture(NamedTuple):
    """name: board/language/sample; sha256: of the size and the pixels, which no other version of an image library changes."""

    name: str
    image: Image.Image
    sha256: str

    @property
    def path(self) -> str:
        """Below FOLDER: by name and content, so that an earlier picture stays beside the one of now."""
        return path_of(self.name, self.sha256)


def path_of(name: str, sha256: str) -> str:
    return f"{name}.{sha256[:12]}.png"


class Panel:
    """A board's display with its driver, brought up on the model of its chip, or on a framebuffer's memory."""

    def __init__(self, scene: Scene) -> None:
        self._folder = None
        part = scene.parts["display"]
        self.display: Display
        if part["part"] == "framebuffer":
            self._folder = tempfile.TemporaryDirectory(prefix="gallery")
            self._chip: Any = FramebufferFile(Path(self._folder.name), part["width_px"], part["height_px"], scale=1)
            asyncio.run(self._chip.start())
            section: Any = self._chip.section()
            self.display = Framebuffer(clock=scene.hal.clock, **section)
            scene.time.run(_brought_up(self.display))
        else:
            assert scene.hal.display is not None
            self._chip = scene.bench.chips["display"]
            self.display = scene.hal.display
        self._font = WholeFont()

    def close(self) -> None:
        self._font.close()
        if self._folder is not None:
            self._folder.cleanup()

    def draw(self, sample: Sample) -> Image.Image:
        """All that a person sees of it: of a page that is scrolled the windows, from left to right."""
        if not isinstance(sample.shown, Page):
            draw_code(self.display, sample.shown)
            return self._seen()
        view = PageView(self.display, self._font)
        view.draw(sample.shown)
        windows = [self._seen()]
        for _ in range(windows_of(sample.shown, self.display.width_px, self.display.height_px, self._font) - 1):
            view.scroll(1)
            windows.append(self._seen())
        width_px, height_px = windows[0].size
        row = Image.new("RGB", (len(windows) * (width_px + GAP_PX) - GAP_PX, height_px), GAP)
        for number, window in enumerate(windows):
            row.paste(window, (number * (width_px + GAP_PX), 0))
        return row

    def _seen(self) -> Image.Image:
        picture: Image.Image = self._chip.picture()
        return picture.copy()


async def _brought_up(device: Any) -> None:
    device.open()
    device.claim()
    await device.enable()


def boards() -> list[str]:
    """Those of this tree."""
    return [board for board in boards_with_display() if board_folders()[board].parent == ROOT / "boards"]


def pictures(board: str, languages: tuple[str, ...] = LANGUAGES) -> Iterator[Picture]:
    """Those of one board."""
    scene = Scene(board)
    panel = Panel(scene)
    for language in languages:
        texts: Texts = load(language)
        for sample in samples(scene, texts):
            image = panel.draw(sample)
            pixels = hashlib.sha256(f"{image.width}x{image.height} ".encode() + image.tobytes())
            yield Picture(f"{board}/{language}/{sample.name}", image, pixels.hexdigest())
    panel.close()


def accepted() -> dict[str, str]:
    """Name -> hash, of docs/gallery.sha256."""
    lines = ACCEPTED.read_text(encoding="utf-8").splitlines() if ACCEPTED.exists() else []
    return {name: sha256 for sha256, name in (line.split("  ", 1) for line in lines)}


def changed(drawn: Mapping[str, str], known: Mapping[str, str], board: str = "") -> list[str]:
    """Names, of that board or of all, whose picture is another, is new, or is no more."""
    return sorted(name for name in {*drawn, *known} if name.startswith(board) and drawn.get(name) != known.get(name))


def save(drawn: list[Picture]) -> None:
    for picture in drawn:
        path = FOLDER / picture.path
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.image.save(path)


HEAD = """<!doctype html><meta charset="utf-8"><title>%s</title><style>
body{font:15px sans-serif;margin:2em;background:#f4f4f4;color:#111} figure{display:inline-block;vertical-align:top;margin:0 1em 1em 0}
img{image-rendering:pixelated;border:1px solid #888} figcaption{margin-bottom:.3em} h2{margin:1.5em 0 .5em}</style><h1>%s</h1>
"""


def _figure(caption: str, path: str) -> str:
    shown = FOLDER / path
    if not shown.exists():
        return f"<figure><figcaption>{html.escape(caption)}</figcaption>was never drawn here</figure>"
    with Image.open(shown) as image:
        width = image.width * (3 if image.height < SMALL_PX else 1)
    return f'<figure><figcaption>{html.escape(caption)}</figcaption><img src="{html.escape(path)}" width="{width}"></figure>'


def index(drawn: list[Picture]) -> str:
    """Each sample with its pictures of all boards and languages."""
    by_sample: dict[str, list[Picture]] = {}
    for picture in drawn:
        by_sample.setdefault(picture.name.split("/", 2)[2], []).append(picture)
    parts = [HEAD % ("Gallery", "Every page of the terminal")]
    for sample in sorted(by_sample):
        parts.append(f'<h2 id="{sample}">{sample}</h2>')
        parts += [_figure(picture.name.rsplit("/", 1)[0], picture.path) for picture in by_sample[sample]]
    return "\n".join(parts)


def changes(names: list[str], drawn: Mapping[str, str], known: Mapping[str, str]) -> str:
    """Before and after of each."""
    parts = [HEAD % ("Changes", "Pages that look otherwise than accepted"), f"<p>To accept them: <code>{ACCEPT}</code></p>"]
    for name in names:
        parts.append(f"<h2>{html.escape(name)}</h2>")
        parts.append(_figure("accepted", path_of(name, known[name])) if name in known else "<p>new</p>")
        parts.append(_figure("now", path_of(name, drawn[name])) if name in drawn else "<p>is no more</p>")
    return "\n".join(parts)


def compared(drawn: list[Picture], board: str = "") -> list[str]:
    """What differs from what was accepted; its pictures, and the page that shows both, are written."""
    now, known = {picture.name: picture.sha256 for picture in drawn}, accepted()
    names = changed(now, known, board)
    if names:
        save([picture for picture in drawn if picture.name in names])
        page = changes(names, now, known)
        (FOLDER / f"changes{'-' + board.strip('/') if board else ''}.html").write_text(page, encoding="utf-8")
    return names


def accept(drawn: list[Picture]) -> None:
    lines = sorted(f"{picture.sha256}  {picture.name}" for picture in drawn)
    ACCEPTED.write_text("\n".join(sorted(lines, key=lambda line: line[66:])) + "\n", encoding="utf-8")


def tidy(drawn: list[Picture]) -> None:
    """Away with pictures that are neither of now nor accepted."""
    kept = {picture.path for picture in drawn} | {path_of(name, sha256) for name, sha256 in accepted().items()}
    for path in FOLDER.rglob("*.png"):
        if path.relative_to(FOLDER).as_posix() not in kept:
            path.unlink()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Draw every page on each board's display, in both languages.")
    parser.add_argument("--accept", action="store_true", help="take over the pictures of now into docs/gallery.sha256")
    accepts = parser.parse_args(arguments).accept
    drawn = [picture for board in boards() for picture in pictures(board)]
    if accepts:
        accept(drawn)
    tidy(drawn)
    save(drawn)
    (FOLDER / "index.html").write_text(index(drawn), encoding="utf-8")
    print(f"{len(drawn)} pictures: {(FOLDER / 'index.html').relative_to(ROOT)}")
    names = compared(drawn)
    if names:
        print(f"{len(names)} are not as accepted: {(FOLDER / 'changes.html').relative_to(ROOT)}; to accept them: {ACCEPT}", file=sys.stderr)
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main())
