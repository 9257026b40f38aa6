"use strict"; // build: drop
const { HookFailure } = require("./failure.js"); // build: drop

const crypto = require("node:crypto");

const misconfigured = (sentence) => new HookFailure("hook_misconfigured", sentence);

/** From an event to a signed request; whatever is wrong with either is a HookFailure. */
const prepare = (event, readMessage) => {
  try {
    const body = JSON.stringify(readMessage(event));
    const url = readUrl(event.secrets);
    const credentials = readCredentials(event.secrets);
    return { url, body, headers: { ...credentials(body), "content-type": "application/json", "accept-encoding": "identity" } };
  } catch (error) {
    throw error instanceof HookFailure ? error : new HookFailure("invalid_event", "The event cannot be read.");
  }
};

/** The message in the shape of Auth0's former Send Phone Message Hook, and of the user nothing but the id. */
const toHookMessage = (event, { channel, recipient, text, action, language, code }) => {
  if (isText(channel) && channel.toLowerCase() === "voice") {
    throw new HookFailure("voice_unsupported", "Mitto's SMS API makes no calls: offer text messages only.");
  }
  if (!isText(recipient) || !isText(text)) {
    throw new HookFailure("invalid_event", "The event has no recipient or no text.");
  }
  return {
    recipient,
    text,
    context: {
      message_type: "sms",
      action,
      language,
      code,
      ip: event.request?.ip,
      user_agent: event.request?.user_agent,
      client: event.client && {
        client_id: event.client.client_id,
        name: event.client.name,
        client_metadata: event.client.metadata,
      },
      user: { user_id: event.user?.user_id },
      tenant: event.tenant && { id: event.tenant.id },
      organization: event.organization && { id: event.organization.id, name: event.organization.name },
    },
  };
};

const isText = (value) => typeof value === "string" && value.trim() !== "";

const readSecret = (secrets, name) => {
  if (!isText(secrets?.[name])) throw misconfigured(`The secret ${name} is missing: add it to the Action's secrets.`);
  return secrets[name].trim(); // a pasted value often ends in a newline
};

const readUrl = (secrets) => {
  const value = readSecret(secrets, "HOOK_URL");
  let url;
  try {
    url = new URL(value);
  } catch {
    throw misconfigured("The secret HOOK_URL is not a URL.");
  }
  const isLoopback = url.hostname === "127.0.0.1" || url.hostname === "localhost";
  if (url.protocol !== "https:" && !(url.protocol === "http:" && isLoopback)) {
    throw misconfigured("The secret HOOK_URL must begin with https://.");
  }
  if (url.username || url.password) throw misconfigured("The secret HOOK_URL must not hold a user name or password.");
  return url.href;
};

/** A function from body to headers, so that no other step sees the secret. */
const readCredentials = (secrets) => {
  const secret = readSecret(secrets, "HOOK_SECRET");
  // Supabase writes `v1,` in front, and a signing key must never travel as a bearer secret.
  const signing = /^(?:v1,)?whsec_(.*)$/.exec(secret);
  if (signing) {
    const key = decodeKey(signing[1]);
    return (body) => signatureHeaders(key, body);
  }
  if (/whsec_/i.test(secret)) {
    throw misconfigured("The secret HOOK_SECRET must begin with whsec_: no quotation marks, no name, nothing else in front.");
  }
  if (!/^[!-{}~]{24,}$/.test(secret)) {
    throw misconfigured("The secret HOOK_SECRET must be one secret of 24 or more visible ASCII characters, without | in it.");
  }
  return () => ({ authorization: `Bearer ${secret}` });
};

const decodeKey = (encoded) => {
  const key = Buffer.from(encoded, "base64");
  // Buffer skips what is not base64, so only the way back shows a damaged secret.
  if (key.toString("base64") !== encoded || key.length < 24 || key.length > 64) {
    throw misconfigured("The secret HOOK_SECRET must be whsec_ and then base64 of 24 to 64 bytes.");
  }
  return key;
};

const signatureHeaders = (key, body) => {
  const id = `msg_${crypto.randomUUID()}`;
  const timestamp = String(Math.floor(Date.now() / 1000));
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": sign(key, id, timestamp, body) };
};

/** https://www.standardwebhooks.com: HMAC-SHA256 over id, timestamp and the body as sent. */
const sign = (key, id, timestamp, body) =>
  `v1,${crypto.createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64")}`;

module.exports = { prepare, toHookMessage, sign }; // build: drop
