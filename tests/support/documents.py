"""What the documentation says of the settings, made from the table, and its pictures; as a program it writes all of them anew."""

import io
import re
import tempfile
from pathlib import Path

from mitto_phone_hook.cli.command import run
from mitto_phone_hook.config.settings import Variable, variables
from support import flow_picture

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
CONFIGURATION = ROOT / "docs" / "configuration.md"
ENV_EXAMPLE = ROOT / ".env.example"
PICTURE = ROOT / "docs" / "pictures" / "text.svg"
_TEXT = (
    "Acme: your code is 482913. It\u2019s valid for 5 minutes \u2013 don\u2019t share it with anybody, not even with us. "
    "Didn\u2019t ask for it? Then call our café in Łódź."
)
_BETWEEN_MARKS = re.compile(r"(<!-- settings -->\n).*(<!-- /settings -->)", re.DOTALL)


def pages() -> list[Path]:
    """Give every page of the documentation."""
    return sorted(path for pattern in ("*.md", "docs/**/*.md", "deploy/*/*.md", "benchmarks/*.md") for path in ROOT.glob(pattern))


def name_of(path: Path) -> str:
    """Give a page's path from the root of the repository: the id of a test."""
    return str(path.relative_to(ROOT))


def env_example() -> str:
    """Give the whole of ``.env.example``."""
    head = (
        "# For docker run --env-file, or as a list for a secret manager; not for a shell, which would cut values at spaces.\n"
        "# Copy to .env and fill in; never commit that file. A line that is commented out shows the default.\n"
    )
    return head + "".join(map(_example, variables()))


def configuration() -> str:
    """Give the page on the configuration with its table of settings as it should be."""
    rows = "".join(f"| `{setting.name}` | {_default(setting)} | {setting.meaning} |\n" for setting in variables())
    return _BETWEEN_MARKS.sub(rf"\g<1>| Variable | Default | Meaning |\n|---|---|---|\n{rows}\2", CONFIGURATION.read_text(encoding="utf-8"))


def picture() -> str:
    """Give what ``mitto-phone-hook text`` draws of a text with a few expensive characters."""
    with tempfile.TemporaryDirectory() as directory:
        prices, drawn = Path(directory) / "prices.csv", Path(directory) / "text.svg"
        prices.write_text("GB,0.042\n*,0.1\n", encoding="ascii")
        arguments = ["text", "--region", "GB", "--prices", str(prices), "--svg", str(drawn), _TEXT]
        run(arguments, {"MITTO_SENDER_ID": "Acme"}, io.StringIO())
        return drawn.read_text(encoding="utf-8")


def _example(setting: Variable) -> str:
    lines = ["", f"# {setting.meaning[0].upper()}{setting.meaning[1:]}."]
    if setting.is_secret:
        need = "Required, here or" if setting.is_required else "Optional, here or"
        lines.append(f"# {need} in the file that {setting.name}_FILE names.")
    value = f"{setting.name}={setting.default or ''}"
    return "\n".join([*lines, value if setting.is_required else f"# {value}", ""])


def _default(setting: Variable) -> str:
    if setting.is_required:
        return "required"
    return f"`{setting.default}`" if setting.default else "none"


if __name__ == "__main__":
    ENV_EXAMPLE.write_text(env_example(), encoding="utf-8")
    CONFIGURATION.write_text(configuration(), encoding="utf-8")
    PICTURE.write_text(picture(), encoding="utf-8")
    flow_picture.PICTURE.write_text(flow_picture.draw(), encoding="utf-8")
