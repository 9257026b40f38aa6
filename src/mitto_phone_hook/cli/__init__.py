"""``mitto-phone-hook``: the operator's commands. The hook itself imports nothing from here."""

from mitto_phone_hook.cli.command import main

__all__ = ["main"]
