// What the function receives: the Hook shape, signed or with a bearer secret, and nothing about the user but the id.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import { createRequire } from "node:module";
import test from "node:test";
import { ACCEPTED, ACTIONS, allOutputs, assertDiscreet, BEARER_SECRET, json, run, sampleEvent, SIGNING_SECRET, startServer, verdictOf } from "./support.mjs";

const require = createRequire(import.meta.url);
const { sign } = require("../src/request.js");

// Written from the specification, with the Web Crypto API instead of createHmac.
const expectedSignature = async (secret, id, timestamp, body) => {
  const bytes = Uint8Array.from(atob(secret.replace("whsec_", "")), (character) => character.charCodeAt(0));
  const key = await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const mac = await crypto.subtle.sign("HMAC", key, new TextEncoder().encode([id, timestamp, body].join(".")));
  return `v1,${btoa(String.fromCharCode(...new Uint8Array(mac)))}`;
};

const received = async (t, action, options = {}) => {
  const { url, requests } = await startServer(t, json(200, ACCEPTED));
  const outcome = await run(action, { url, ...options });
  assert.deepEqual([outcome.verdict, requests.length], ["accepted", 1]);
  return requests[0];
};

const VECTOR = {
  secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
  id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
  timestamp: "1614265330",
  body: '{"test": 2432232314}',
  signature: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
};

test("the signature is that of the published Standard Webhooks vector", async () => {
  const { secret, id, timestamp, body, signature } = VECTOR;
  assert.equal(sign(Buffer.from(secret.slice(6), "base64"), id, timestamp, body), signature);
  assert.equal(await expectedSignature(secret, id, timestamp, body), signature);
});

test("custom-phone-provider sends the sample event in the Hook shape", async (t) => {
  const { body } = await received(t, ACTIONS[0]);
  assert.deepEqual(JSON.parse(body), {
    recipient: "+1-808-555-5555",
    text: "This is the text you should send, with otp: 123456",
    context: {
      message_type: "sms",
      action: "otp_verify",
      language: "en-US",
      code: "123456",
      ip: "13.33.86.47",
      user_agent: "curl/7.64.1",
      client: { client_id: "gmOWNgklfRm4tyl5YYnl3JDSJy19h1bR", name: "All Applications", client_metadata: {} },
      user: { user_id: "auth0|5f7c8ec7c33c6c004bbafe82" },
      tenant: { id: "my-tenant" },
      organization: { id: "my-org", name: "MyOrg" },
    },
  });
});

test("send-phone-message sends the sample event in the Hook shape", async (t) => {
  const { body } = await received(t, ACTIONS[1]);
  assert.deepEqual(JSON.parse(body), {
    recipient: "+1-808-555-5555",
    text: "Here is your one time password!",
    context: {
      message_type: "sms",
      action: "enrollment",
      language: "en",
      code: "1234556ADSFA547865",
      ip: "13.33.86.47",
      user_agent: "curl/7.64.1",
      client: { client_id: "gmOWNgklfRm4tyl5YYnl3JDSJy19h1bR", name: "All Applications", client_metadata: {} },
      user: { user_id: "auth0|5f7c8ec7c33c6c004bbafe82" },
      tenant: { id: "my-tenant" },
    },
  });
});

for (const action of ACTIONS) {
  test(`${action.name} signs the body as sent`, async (t) => {
    const event = sampleEvent(action.sample);
    event[action.message][action.text] = 'Grüezi "你好" 🔐 \ud800 & <b>\n\u2028';
    const { headers, body } = await received(t, action, { event });
    const { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature } = headers;
    assert.match(id, /^msg_[0-9a-f-]{36}$/);
    assert.ok(Math.abs(Date.now() / 1000 - Number(timestamp)) < 5 && /^[0-9]+$/.test(timestamp));
    assert.equal(signature, await expectedSignature(SIGNING_SECRET, id, timestamp, body));
    assert.equal(headers.authorization, undefined);
  });

  test(`${action.name} takes a signing secret as Supabase writes it`, async (t) => {
    const { headers, body } = await received(t, action, { secret: `v1,${SIGNING_SECRET}` });
    assert.equal(headers["webhook-signature"], await expectedSignature(SIGNING_SECRET, headers["webhook-id"], headers["webhook-timestamp"], body));
    assert.equal(headers.authorization, undefined);
  });

  test(`${action.name} sends any other secret as a bearer`, async (t) => {
    const { headers } = await received(t, action, { secret: BEARER_SECRET });
    assert.equal(headers.authorization, `Bearer ${BEARER_SECRET}`);
    assert.deepEqual(Object.keys(headers).filter((name) => name.startsWith("webhook-")), []);
  });

  test(`${action.name} does not mind white space around pasted secrets`, async (t) => {
    const { url, requests } = await startServer(t, json(200, ACCEPTED));
    const { verdict } = await run(action, { secrets: { HOOK_URL: ` ${url}\n`, HOOK_SECRET: `${BEARER_SECRET}\r\n` } });
    assert.deepEqual([verdict, requests[0].headers.authorization], ["accepted", `Bearer ${BEARER_SECRET}`]);
  });

  test(`${action.name} POSTs JSON to / and asks for an uncompressed answer`, async (t) => {
    const { method, path, headers } = await received(t, action);
    assert.deepEqual([method, path, headers["content-type"], headers["accept-encoding"]], ["POST", "/", "application/json", "identity"]);
  });

  test(`${action.name} keeps the path of HOOK_URL`, async (t) => {
    const { url, requests } = await startServer(t, json(200, ACCEPTED));
    await run(action, { url: `${url}hooks/auth0` });
    assert.equal(requests[0].path, "/hooks/auth0");
  });

  test(`${action.name} gives each run an id of its own`, async (t) => {
    const { url, requests } = await startServer(t, json(200, ACCEPTED));
    await run(action, { url });
    await run(action, { url });
    assert.notEqual(requests[0].headers["webhook-id"], requests[1].headers["webhook-id"]);
  });

  test(`${action.name} sends nothing about the user but the id`, async (t) => {
    const event = sampleEvent(action.sample);
    event.user.app_metadata = { plan: "needle-app" };
    event.user.user_metadata = { shoe: "needle-user" };
    event.user.phone_number = "+15550009999";
    const { body } = await received(t, action, { event });
    for (const value of ["needle", "j+smith", "Smith", "John", "+15550009999", "picture", "identities", "geoip", "correlation"]) {
      assert.ok(!body.includes(value), `${value} is none of the function's business`);
    }
  });

  test(`${action.name} hands on the application's metadata`, async (t) => {
    const event = sampleEvent(action.sample);
    event.client.metadata = { brand: "acme" };
    assert.deepEqual(JSON.parse((await received(t, action, { event })).body).context.client.client_metadata, { brand: "acme" });
  });

  test(`${action.name} sends a message without a code`, async (t) => {
    const event = sampleEvent(action.sample);
    delete event[action.message].code;
    const { context } = JSON.parse((await received(t, action, { event })).body);
    assert.ok(!("code" in context));
  });

  test(`${action.name} needs nothing but a recipient and a text`, async (t) => {
    const event = { [action.message]: { recipient: "+41791234567", [action.text]: "Hello" } };
    const { body } = await received(t, action, { event });
    assert.deepEqual(JSON.parse(body), { recipient: "+41791234567", text: "Hello", context: { message_type: "sms", user: {} } });
  });

  for (const channel of ["voice", "VOICE", "Voice"]) {
    test(`${action.name} refuses ${channel} before it calls`, async (t) => {
      const { url, requests } = await startServer(t, json(200, ACCEPTED));
      const event = sampleEvent(action.sample);
      event[action.message][action.channel] = channel;
      const outcome = await run(action, { url, event });
      assert.deepEqual([outcome.verdict, outcome.code, requests.length], [verdictOf(action, false), "voice_unsupported", 0]);
    });
  }

  const broken = (change) => {
    const event = sampleEvent(action.sample);
    change(event[action.message], event);
    return event;
  };
  const UNUSABLE = {
    "no recipient": broken((message) => delete message.recipient),
    "an empty recipient": broken((message) => (message.recipient = "")),
    "a blank recipient": broken((message) => (message.recipient = "  ")),
    "a recipient that is a number": broken((message) => (message.recipient = 41791234567)),
    "a recipient that is null": broken((message) => (message.recipient = null)),
    "no text": broken((message) => delete message[action.text]),
    "an empty text": broken((message) => (message[action.text] = "")),
    "a text that is an object": broken((message) => (message[action.text] = { en: "Hello" })),
    "no message": broken((_message, event) => delete event[action.message]),
    "metadata without end": broken((_message, event) => (event.client.metadata = { client: event.client })),
  };
  for (const [title, event] of Object.entries(UNUSABLE)) {
    test(`${action.name} refuses ${title} before it calls`, async (t) => {
      const { url, requests } = await startServer(t, json(200, ACCEPTED));
      const outcome = await run(action, { url, event });
      assert.deepEqual([outcome.verdict, outcome.code, requests.length], [verdictOf(action, false), "invalid_event", 0]);
    });
  }
}

test("the voice events of Auth0's documentation are refused", async (t) => {
  const { url, requests } = await startServer(t, json(200, ACCEPTED));
  const custom = await run(ACTIONS[0], { url, event: sampleEvent("action-custom-phone-provider-voice") });
  const classic = await run(ACTIONS[1], { url, event: sampleEvent("action-send-phone-message-minimal-voice") });
  assert.deepEqual([custom.code, classic.code, requests.length], ["voice_unsupported", "voice_unsupported", 0]);
});

for (const type of ["otp_verify", "otp_enroll", "blocked_account", "change_password", "password_breach", "something_new"]) {
  test(`custom-phone-provider hands on the message type ${type}`, async (t) => {
    const event = sampleEvent("action-custom-phone-provider-event");
    event.notification.message_type = type;
    assert.equal(JSON.parse((await received(t, ACTIONS[0], { event })).body).context.action, type);
  });
}

test("custom-phone-provider falls back to the language of the request", async (t) => {
  const event = sampleEvent("action-custom-phone-provider-event");
  delete event.notification.locale;
  assert.equal(JSON.parse((await received(t, ACTIONS[0], { event })).body).context.language, "en");
});

test("custom-phone-provider never sends the spoken text", async (t) => {
  const event = sampleEvent("action-custom-phone-provider-event");
  delete event.notification.as_text;
  const { url, requests } = await startServer(t, json(200, ACCEPTED));
  assert.deepEqual([(await run(ACTIONS[0], { url, event })).code, requests.length], ["invalid_event", 0]);
});

test("no run of this file has said anything confidential", () => {
  assert.ok(allOutputs().length > 40);
  allOutputs().forEach(assertDiscreet);
});
