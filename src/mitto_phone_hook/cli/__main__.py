"""``python -m mitto_phone_hook.cli``: the same as ``mitto-phone-hook``."""

import sys

from mitto_phone_hook.cli.command import main

if __name__ == "__main__":
    sys.exit(main())
