"""The entry file: ``functions-framework --source src/main.py --target send_phone_message``."""

from mitto_phone_hook.function import send_phone_message

__all__ = ["send_phone_message"]
