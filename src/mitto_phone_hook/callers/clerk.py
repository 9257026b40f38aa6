"""Clerk. Source: clerk/javascript, ``packages/backend/src/webhooks.ts``; svix/svix-webhooks, ``server/svix-server/src/worker.rs``."""

from mitto_phone_hook.callers._contract import Caller, Message, Reading, by_queue
from mitto_phone_hook.callers._credentials import signed


def _payload(message: Message) -> object:
    event = {"object": "event", "timestamp": int(message.now * 1000), "instance_id": "ins_simulated"}
    if message.is_other_event:
        return {"data": {"id": f"user_{message.message_id()}", "object": "user"}, "type": "user.created", **event}
    data = {
        "object": "sms_message",
        "id": f"sms_{message.message_id()}",
        "slug": "verification_code",
        "from_phone_number": "",
        "to_phone_number": message.to,
        "phone_number_id": f"idn_{message.message_id()}",
        "user_id": None,
        "message": message.text,
        "status": "queued",
        "data": {"otp_code": message.code},
        "delivered_by_clerk": False,
    }
    attributes = {"http_request": {"client_ip": "198.51.100.7", "user_agent": "Mozilla/5.0"}}
    return {"data": data, "event_attributes": attributes, "type": "sms.created", **event}


CALLERS = {
    "clerk": Caller(
        "Clerk",
        _payload,
        signed("svix-", has_stable_id=True),
        by_queue,
        30,
        "open-source Svix; Clerk's own value is not known",
        when_late=Reading.REPEATED,
        headers={"User-Agent": "Svix-Webhooks/simulated"},
    )
}
