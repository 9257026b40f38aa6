"""The native payload: for platforms whose administrator can shape the request, and for your own code.

Source: ``recipient``, ``text`` and ``context`` of Auth0's Send Phone Message Hook; the field names of Casdoor, Ory and others.
"""

import math

from mitto_phone_hook.platforms._contract import Platform
from mitto_phone_hook.platforms._native_payload import FlatCall, HookCall
from mitto_phone_hook.platforms._native_response import respond
from mitto_phone_hook.platforms._payload import reader
from mitto_phone_hook.platforms._signatures import authenticate

PLATFORM = Platform(
    authenticate=authenticate,
    read=reader(HookCall, FlatCall),
    respond=respond,
    timeout_seconds=math.inf,  # unknown: DEADLINE_SECONDS decides
)
