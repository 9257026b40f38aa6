// Built by deploy/auth0/build.mjs: edit deploy/auth0/src/ instead.
// Auth0 Action for the trigger custom-phone-provider. Secrets: HOOK_URL, HOOK_SECRET. No dependencies.
"use strict";

/** Why the message was not accepted. All of it is constant or was checked, because it goes to the tenant log. */
class HookFailure extends Error {
  constructor(code, sentence, { isRetryable = false, facts = [] } = {}) {
    const known = facts.filter(Boolean).join(", ");
    super(`mitto-phone-hook ${code}: ${sentence}${known && ` (${known})`}`);
    this.code = code;
    this.isRetryable = isRetryable;
  }
}

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

// Auth0 ends a run after 20 s and advises less than 10 s for one HTTP call; the function answers within 8 s.
const TIME_LIMIT_MS = 9000;
const ANSWER_LIMIT_BYTES = 8192;

// The form of what an answer may put into the tenant log. Nothing else in it gets there.
const CODE_PATTERN = /^[a-z_]{1,40}$/;
const REQUEST_ID_PATTERN = /^[A-Za-z0-9_-]{1,64}$/;

// Node's own codes for a connection that never came about, so that certainly no SMS left.
const NOT_CONNECTED = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN"]);
// Certainly no SMS left either, but waiting mends no certificate.
const CERTIFICATE_REFUSED = new Set([
  "CERT_HAS_EXPIRED",
  "CERT_NOT_YET_VALID",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "ERR_TLS_CERT_ALTNAME_INVALID",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);
const SYSTEM_CODE_PATTERN = /^[A-Z][A-Z0-9_]{1,39}$/;

const badAnswer = (sentence, options) => new HookFailure("hook_bad_answer", sentence, options);

/** Hands the event's message to the function: undefined when it was accepted, else a HookFailure. Never throws. */
const deliver = async (event, readMessage) => {
  try {
    const request = prepare(event, readMessage);
    judge(request, await exchange(request));
    return undefined;
  } catch (error) {
    const failure = error instanceof HookFailure ? error : badAnswer("The Action met an error that it does not know.");
    console.log(failure.message.slice(0, 255)); // Auth0 keeps 256 characters
    return failure;
  }
};

const exchange = async (request) => {
  const deadline = AbortSignal.timeout(TIME_LIMIT_MS);
  try {
    return await Promise.race([post(request, deadline), expiry(deadline)]);
  } catch (error) {
    throw explain(error, deadline);
  }
};

// fetch heeds the signal as well, but whether it does in every state of the body is not ours to trust.
const expiry = (deadline) =>
  new Promise((_, reject) => {
    deadline.addEventListener("abort", () => reject(deadline.reason), { once: true });
  });

const post = async ({ url, body, headers }, signal) => {
  const response = await fetch(url, { method: "POST", headers, body, redirect: "manual", signal });
  return { status: response.status, text: await readCapped(response.body) };
};

const readCapped = async (stream) => {
  const chunks = [];
  let size = 0;
  for await (const chunk of stream ?? []) {
    size += chunk.length;
    if (size > ANSWER_LIMIT_BYTES) throw badAnswer("The answer is larger than 8 kB, so it is not the function's."); // leaving the loop cancels the stream
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
};

const explain = (error, deadline) => {
  if (error instanceof HookFailure) return error;
  if (deadline.aborted) {
    return new HookFailure("hook_timeout", "No complete answer in time: nobody can tell whether an SMS left.");
  }
  // A host with several addresses fails with one error for each of them.
  const codes = (error?.cause?.errors ?? [error?.cause]).map((cause) => cause?.code);
  const facts = [codes.find((code) => SYSTEM_CODE_PATTERN.test(code))];
  if (codes.length > 0 && codes.every((code) => NOT_CONNECTED.has(code))) {
    return new HookFailure("hook_unreachable", "No connection to the function: no SMS left.", { isRetryable: true, facts });
  }
  if (codes.some((code) => CERTIFICATE_REFUSED.has(code))) {
    return new HookFailure("hook_unreachable", "The function's TLS certificate was refused: no SMS left.", { facts });
  }
  return badAnswer("The connection broke: nobody can tell whether an SMS left.", { facts });
};

/** Throws unless the function said in so many words that it accepted the message. */
const judge = (request, { status, text }) => {
  const answer = parseJson(text);
  if (status === 200 && answer?.status === "accepted") return;
  const code = status >= 400 ? printable(request, answer?.error?.code, CODE_PATTERN) : undefined;
  const requestId = printable(request, answer?.error?.request_id, REQUEST_ID_PATTERN);
  const facts = [`HTTP ${status}`, requestId && `request ${requestId}`];
  const isRetryable = isCertainlyNotSent(status, code);
  if (code) throw new HookFailure(code, "The function did not accept the message.", { isRetryable, facts });
  if (status >= 300 && status < 400) throw badAnswer("HOOK_URL redirects: it must be the function's own address.", { facts });
  throw badAnswer("The answer is not the function's.", { isRetryable, facts });
};

// A 429 from anyone is a refusal to take the call. A 503 without our code also follows a container that died after sending.
const isCertainlyNotSent = (status, code) => status === 429 || (status === 503 && code === "upstream_unavailable");

// An answer that repeats part of the request could carry the number, the code or the secret into the log.
const printable = (request, value, pattern) =>
  typeof value === "string" && pattern.test(value) && !isEcho(request, value) ? value : undefined;

const isEcho = ({ url, body, headers }, value) =>
  bare([url, body, ...Object.values(headers)].join(" ")).includes(bare(value));

const bare = (value) => value.replace(/[^A-Za-z0-9]/g, "");

const parseJson = (text) => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

const readNotification = ({ notification, ...event }) =>
  toHookMessage(event, {
    channel: notification?.delivery_method,
    recipient: notification?.recipient,
    text: notification?.as_text,
    action: notification?.message_type,
    language: notification?.locale || event.request?.language,
    code: notification?.code,
  });

/** The tenant-wide phone provider. Auth0 repeats a retry up to five times, so only what is certainly not sent may ask for one. */
exports.onExecuteCustomPhoneProvider = async (event, api) => {
  const failure = await deliver(event, readNotification);
  if (failure?.isRetryable) api.notification.retry(failure.message);
  else if (failure) api.notification.drop(failure.message);
};
