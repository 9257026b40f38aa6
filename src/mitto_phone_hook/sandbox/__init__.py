"""A fake Mitto for demos and tests: a real HTTP server with an inbox, and with faults on demand.

From the command line: ``python -m mitto_phone_hook.sandbox``. In tests::

    async with FakeMitto(api_key="sandbox-key") as mitto:
        mitto.script("503_1", "ok")
        ...  # send through mitto.url
        assert len(mitto.inbox) == 1
"""

from mitto_phone_hook.sandbox.server import FakeMitto

__all__ = ["FakeMitto"]
