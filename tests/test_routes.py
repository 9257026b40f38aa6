import pytest

from mitto_phone_hook.platforms import NAMES, ROOT
from mitto_phone_hook.routes import platform_below


@pytest.mark.parametrize(
    ("path", "platform"),
    [
        ("/hooks/okta", "okta"),
        ("/hooks/okta/", "okta"),
        ("//hooks/okta", "okta"),
        ("/hooks/OKTA/x", "okta"),
        ("/hooks", ROOT),
        ("/hooks/nobody", ROOT),
        ("/x/hooks/okta", ROOT),
        ("/", ROOT),
        ("", ROOT),
    ],
)
def test_a_call_that_went_astray_is_answered_as_its_platform_reads_it(path: str, platform: str) -> None:
    assert platform_below(path, NAMES) == platform
