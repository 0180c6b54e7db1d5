"""What goes on the device: what goes on every one, and this board. See boards/manifest.py."""

TYPE_CHECKING = False
if TYPE_CHECKING:

    def metadata(version: str, description: str, license: str) -> None: ...
    def include(manifest_path: str) -> None: ...
    def package(package_path: str, files: "list[str]", base_path: str) -> None: ...
    def module(module_path: str) -> None: ...


DATA = {"boards/esp32s3_counter/board.json": "board.json"}

metadata(version="0.1.0", description="Reinstate for the counter terminal on ESP32-S3", license="Apache-2.0")
include("../manifest.py")
package("boards", ["esp32s3_counter/__init__.py", "esp32s3_counter/board.py"], base_path="../..")
module("main.py")
