"""What goes on the device: a manifest for MicroPython's build tools (docs.micropython.org, reference/manifest).

The modules go to the device's file system, as they are or compiled to .mpy. They are not to be frozen into the firmware: board.json and
unifont16.bin lie beside the modules that read them, and a folder on the file system hides a frozen package of the same name.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:

    def metadata(version: str, description: str, license: str) -> None: ...
    def package(package_path: str, files: "list[str]", base_path: str) -> None: ...
    def module(module_path: str) -> None: ...


ROOT = "../.."  # seen from this file's folder, in which the build tools run it

# For CPython only. What starts the agent, or a `compat` module, picks one of each pair by the runtime.
CPYTHON_ONLY = ("firmware_agent/links/mqtt_paho.py", "firmware_agent/links/tcp_cpython.py", "hal/drivers/p256_openssl.py")

# What is no module goes to the same path on the device.
DATA = ("boards/esp32_mpos/board.json", "firmware_agent/screens/unifont16.bin")


def modules(name: str) -> "list[str]":
    """The modules of one package that a device needs, as paths below the package's folder."""
    found = []
    for folder, _, files in os.walk(ROOT + "/" + name):
        for file in files:
            path = (folder + "/" + file)[len(ROOT) + 1 :].replace(os.sep, "/")
            if path.endswith(".py") and path not in CPYTHON_ONLY:
                found.append(path[len(name) + 1 :])
    return sorted(found)


metadata(version="0.1.0", description="Reinstate for the hand-held terminal on ESP32", license="Apache-2.0")
package("hal", modules("hal"), base_path=ROOT)
package("firmware_agent", modules("firmware_agent"), base_path=ROOT)
package("boards", ["__init__.py", "esp32_mpos/__init__.py", "esp32_mpos/board.py"], base_path=ROOT)
module("main.py")
