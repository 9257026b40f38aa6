"""The entry file: ``functions-framework --source src/main.py --target send_phone_message``."""

import gc
import os
from typing import cast

# Both together took a ninth of the start: garbage looked for while everything is only being imported (the first call
# turns collections on again), and all installed packages searched for plugins of pydantic's, which would see every text.
gc.disable()
os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"

import functions_framework.aio  # noqa: E402 - after what it is to be imported with
from starlette.requests import Request  # noqa: E402 - likewise
from starlette.responses import Response  # noqa: E402 - likewise

from mitto_phone_hook.function import app  # noqa: E402 - likewise


@functions_framework.aio.http
async def send_phone_message(_: Request) -> Response:
    """Hand the call to the function. The framework lets what it is given respond, with the request's own ASGI channels."""
    return cast("Response", app)
