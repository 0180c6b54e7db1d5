"""What goes on the device: what goes on every one, and this board."""

TYPE_CHECKING = False
if TYPE_CHECKING:

    def metadata(version: str, description: str, license: str) -> None: ...
    def include(manifest_path: str) -> None: ...
    def package(package_path: str, files: "list[str]", base_path: str) -> None: ...
    def module(module_path: str) -> None: ...


DATA = {"boards/vending/board.json": "board.json"}

metadata(version="0.1.0", description="Reinstate for the card reader of a vending machine", license="Apache-2.0")
include("../../../../boards/manifest.py")
package("boards", ["vending/__init__.py", "vending/board.py"], base_path="../..")
module("main.py")
