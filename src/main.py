"""The entry file: ``functions-framework --source src/main.py --target send_phone_message``."""

import gc
import os

# Both together took a ninth of the start: garbage looked for while everything is only being imported (the first call
# turns collections on again), and all installed packages searched for plugins of pydantic's, which would see every text.
gc.disable()
os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"

from mitto_phone_hook.function import send_phone_message  # noqa: E402 - after what it is to be imported with

__all__ = ["send_phone_message"]
