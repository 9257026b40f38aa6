"""``docs/openapi.json`` is made from the tables, is OpenAPI 3.1, and the running function keeps to it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from mitto_phone_hook.platforms import NAMES
from mitto_phone_hook.platforms._signatures import CREDENTIAL_HEADERS
from mitto_phone_hook.routes import CONVERSIONS, REPORTS, ROUTES
from support import openapi
from support.processes import BEARER, ROOT, fake_mitto, function_by, own_command

DOCUMENT: dict[str, Any] = json.loads(openapi.DOCUMENT.read_text(encoding="utf-8"))
SAMPLES = [path for name in NAMES for path in sorted((ROOT / "tests" / "data" / name).glob("*.json")) if "ignored" not in path.name]
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",
)
"""What must hold for every body. Whether it is accepted is no matter of its form: most numbers that fit the schema exist nowhere."""


def schema_of(path: str, media_type: str = openapi.JSON) -> dict[str, Any]:
    schema: dict[str, Any] = DOCUMENT["paths"][path]["post"]["requestBody"]["content"][media_type]["schema"]
    return schema | {"components": DOCUMENT["components"]}


def test_it_is_what_the_tables_say() -> None:
    assert openapi.DOCUMENT.read_text(encoding="utf-8") == openapi.document(), "run: make docs"


def test_it_is_openapi() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    validate(DOCUMENT)


def test_it_has_every_route_and_method() -> None:
    methods = {path: tuple(method.upper() for method in operations) for path, operations in DOCUMENT["paths"].items()}
    reports = REPORTS.path.replace("*", "{token}")
    assert methods == {path: route.methods for path, route in ROUTES.items()} | {
        CONVERSIONS.path: CONVERSIONS.methods,
        reports: REPORTS.methods,
    }


def test_it_has_every_header_that_can_authenticate() -> None:
    schemes = DOCUMENT["components"]["securitySchemes"].values()
    named = {scheme.get("name", "Authorization").lower() for scheme in schemes}
    # The id and the time of a signature are told beside it.
    told = {word.strip(".") for scheme in schemes for word in scheme["description"].split()}
    assert {header.decode() for header in CREDENTIAL_HEADERS} == named | (told & {header.decode() for header in CREDENTIAL_HEADERS})


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_sample_of_a_message_fits(sample: Path) -> None:
    OAS31Validator(schema_of(f"/hooks/{sample.parent.name}")).validate(json.loads(sample.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "wrong",
    [{}, [], {"to": openapi.NUMBER}, {"text": "hello"}, {"to": {}, "text": "hello"}, {"to": openapi.NUMBER, "text": 1}],
    ids=json.dumps,
)
@pytest.mark.parametrize("path", ["/", "/hooks/native"])
def test_what_is_no_message_does_not_fit(path: str, wrong: object) -> None:
    assert not OAS31Validator(schema_of(path)).is_valid(wrong)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("phase", "bound"),
    [
        ("coverage", ["--max-time", "30"]),  # one value of each kind for each field: 2,400 calls where there is time
        ("fuzzing", ["--max-examples", "5"]),
    ],
)
def test_the_running_function_keeps_to_it(phase: str, bound: list[str], tmp_path: Path) -> None:
    unlimited = "; ".join(f"{rule}=1000000/hour" for rule in ("recipient", "prefix", "ip", "region", "total"))
    settings = {"LIMITS": unlimited, "CONVERSIONS": "on", "REPORT_SECRETS": BEARER}
    with (
        fake_mitto(tmp_path / "mitto.txt") as mitto,
        function_by(own_command, tmp_path / "function.txt", MITTO_BASE_URL=f"http://127.0.0.1:{mitto.port}", **settings) as process,
    ):
        how = ["--checks", ",".join(CHECKS), "--phases", phase, "--seed", "1", "--generation-database", "none", *bound]
        where = ["--url", f"http://127.0.0.1:{process.port}", "--header", f"Authorization: Bearer {BEARER}"]
        done = subprocess.run(
            [Path(sys.executable).parent / "schemathesis", "run", openapi.DOCUMENT, *how, *where],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        handled = [line["event"] for line in process.log()]
    assert done.returncode == 0, done.stdout
    assert f"{sum(map(len, DOCUMENT['paths'].values()))} selected" in done.stdout
    assert len(handled) > len(ROUTES)
    assert {"unauthorized", "invalid_request"} <= set(handled)
