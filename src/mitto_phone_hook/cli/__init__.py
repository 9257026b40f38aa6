"""``mitto-phone-hook``: what an operator asks of it from a command line. The hook itself imports nothing from here."""

from mitto_phone_hook.cli.command import main

__all__ = ["main"]
