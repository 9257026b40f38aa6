"""The last lines of an SMS that let a handset fill the code in: for browsers, and for an app on Android.

Sources: WICG, "Origin-bound one-time codes delivered via SMS" (the line ``@domain #code`` is the last one); Google, "Perform SMS
verification on a server" (a message has the app's hash, no longer at a fixed place, and is at most 140 bytes long).
"""

import re
from typing import NamedTuple

from mitto_phone_hook.sms.segments import LAST_LINE_OF_WEBOTP, encode

# A code with a space in it would end at the space.
_USABLE_CODE = re.compile(r"[!-~]+")


class Autofill(NamedTuple):
    """What is added to the texts of one caller. Empty: nothing."""

    domain: str = ""
    """Host name of the website that asks for the code."""
    app_hash: str = ""
    """Eleven characters that name an Android app and its signing key."""

    def add_to(self, text: str, code: str) -> str:
        """Add the lines that ``text`` lacks. Without a ``code``, and where nothing is missing, ``text`` stays as it is.

        The line for browsers has to be the last one, so the hash stands above it. A line of another domain stays.
        """
        if not _USABLE_CODE.fullmatch(code):
            return text
        above = text.rstrip()
        found = LAST_LINE_OF_WEBOTP.search(above)
        above, last = (above[: found.start()].rstrip(), found[0].lstrip()) if found else (above, "")
        lines = [self.app_hash] if self.app_hash and self.app_hash not in text else []
        if self.domain and not last:
            last = f"@{self.domain} #{code}"
        elif not lines:
            return text
        if last:
            lines.append(last)
        return "\n\n".join(part for part in (above, "\n".join(lines)) if part)

    def added_segments(self, text: str, code: str, *, is_smart: bool = True) -> int:
        """Give how many segments the lines cost on top of those of ``text``."""
        return encode(self.add_to(text, code), is_smart=is_smart).segments - encode(text, is_smart=is_smart).segments
