"""What goes on every device with MicroPython: the hal and the agent. A board's manifest.py includes it, after its metadata().

Both are written in the manifest language of MicroPython's build tools (docs.micropython.org, reference/manifest), which run each in its own
folder. That language lists modules alone. What else has to be on a device stands in DATA: path on the device -> file, seen from here.

The modules go to the device's file system, as they are or compiled to .mpy. They are not to be frozen into the firmware: board.json, the
font and the texts lie beside the modules that read them, and a folder on the file system hides a frozen package of the same name.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:

    def package(package_path: str, files: "list[str]", base_path: str) -> None: ...


ROOT = ".."

# For CPython only. What starts the agent, or a `compat` module, picks one of each pair by the runtime.
CPYTHON_ONLY = ("firmware_agent/links/mqtt_paho.py", "firmware_agent/links/tcp_cpython.py", "hal/drivers/p256_openssl.py")

LINUX_ONLY = "hal/drivers/linux/"

BESIDE = ("firmware_agent/screens/unifont16.bin", "firmware_agent/texts/en.txt", "firmware_agent/texts/zh-CN.txt")
DATA = {path: ROOT + "/" + path for path in BESIDE}


def modules(name: str) -> "list[str]":
    """The modules of one package that a device needs, as paths below the package's folder."""
    found = []
    for folder, _, files in os.walk(ROOT + "/" + name):
        for file in files:
            path = (folder + "/" + file)[len(ROOT) + 1 :].replace(os.sep, "/")
            if path.endswith(".py") and path not in CPYTHON_ONLY and not path.startswith(LINUX_ONLY):
                found.append(path[len(name) + 1 :])
    return sorted(found)


package("hal", modules("hal"), base_path=ROOT)
package("firmware_agent", modules("firmware_agent"), base_path=ROOT)
package("boards", ["__init__.py"], base_path=ROOT)
