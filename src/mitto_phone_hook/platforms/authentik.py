"""authentik: the SMS authenticator stage with the provider "generic".

Source: goauthentik/authentik, ``authentik/stages/authenticator_sms/models.py``. It takes every status below 400 for success, shows the
body of all other responses to the user, and calls once.
"""

from mitto_phone_hook.platforms import _fields as field
from mitto_phone_hook.platforms._contract import Platform
from mitto_phone_hook.platforms._end_user_response import respond
from mitto_phone_hook.platforms._payload import Payload, at, reader
from mitto_phone_hook.platforms._signatures import authenticate


class StageCall(Payload):
    """What the stage sends without a mapping. Older releases send the code alone."""

    SOURCE = "authentik"

    recipient: field.WrittenNumber = at("To")
    text: field.MessageText | None = at("Message", default=None)
    code: field.Code = at("Body")
    sender_id: field.SenderId = at("From", default=None)


PLATFORM = Platform(
    authenticate=authenticate,
    read=reader(StageCall),
    respond=respond,
    unknown_counts_as_accepted=True,
    timeout_seconds=30,  # the default of its setting http_timeout
)
