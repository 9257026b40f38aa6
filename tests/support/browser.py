"""The browser that the tests of the inbox run in: a Chromium that comes whole inside an npm package, and axe-core beside it.

``python -m support.browser`` installs both into the virtual environment; ``make ready`` does that.
"""

import contextlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from playwright.async_api import Browser, async_playwright

from support.programs import bundled

MANIFEST = Path(__file__).parents[1] / "browser"
FOLDER = Path(sys.prefix) / "browser"

_IS_BUNDLED = (platform.system(), platform.machine()) == ("Linux", "x86_64")
_OTHERS = ("chromium", "google-chrome", "chromium-browser", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
# The package unpacks its libraries only where it believes to be in the cloud that it is made for.
_UNPACK = 'import chromium from "@sparticuz/chromium"; await chromium.executablePath()'
# Only its own fonts, so that the page looks the same on each machine.
_FONTS = f"<fontconfig><dir>{FOLDER}/fonts</dir><cachedir>{FOLDER}/fonts-cache</cachedir></fontconfig>"
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def install() -> None:
    """Install what ``package-lock.json`` lists, and unpack the browser."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    for file in MANIFEST.iterdir():
        shutil.copy(file, FOLDER)
    node = bundled("node")
    npm = Path(node).parents[1] / "lib/node_modules/npm/bin/npm-cli.js"
    words = [node, str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    if subprocess.run(words, cwd=FOLDER, stdout=subprocess.DEVNULL, check=False).returncode:
        sys.exit(
            "npm could not install the browser for the tests: see above.\n"
            "Behind a proxy with a certificate of its own, set NODE_EXTRA_CA_CERTS to its file; then run the same command again."
        )
    if _IS_BUNDLED:
        (FOLDER / "fonts.conf").write_text(_FONTS, encoding="utf-8")
        environment = os.environ | {"TMPDIR": str(FOLDER), "AWS_LAMBDA_JS_RUNTIME": "nodejs22.x"}
        subprocess.run([node, "--input-type=module", "-e", _UNPACK], cwd=FOLDER, env=environment, check=True)


def program() -> str:
    """Give the path of the browser: the installed one or, where the package has none for the machine, the machine's own."""
    if _IS_BUNDLED:
        return str(FOLDER / "chromium")
    for name in _OTHERS:
        if found := shutil.which(name):
            return found
    raise AssertionError("the tests of the inbox need Chrome or Chromium on this kind of machine: install one")


def axe() -> str:
    """Give the source of the accessibility checker."""
    return (FOLDER / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")


@contextlib.asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """Run the browser, with a profile that is new and empty, until the block ends."""
    own = {"LD_LIBRARY_PATH": str(FOLDER / "al2023/lib"), "FONTCONFIG_FILE": str(FOLDER / "fonts.conf")} if _IS_BUNDLED else {}
    environment: dict[str, str | float | bool] = {"HOME": str(FOLDER), "PATH": os.environ["PATH"], **own}
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=program(), args=_ARGUMENTS, env=environment)
        try:
            yield running
        finally:
            await running.close()


if __name__ == "__main__":
    install()
