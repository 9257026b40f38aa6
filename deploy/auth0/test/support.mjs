// Runs the built Actions as Auth0 would: one file, a context of its own, and only the globals that the file may use.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import net from "node:net";
import { inspect } from "node:util";
import vm from "node:vm";

export const SIGNING_SECRET = "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTAx"; // 30 bytes of no value
export const BEARER_SECRET = "not-a-real-bearer-secret-0001";

const nodeRequire = createRequire(import.meta.url);

export const readText = (path) => readFileSync(new URL(path, import.meta.url), "utf8");
export const sampleEvent = (name) => JSON.parse(readText(`events/${name}.json`));

/** The Actions under test: how to call each, and where it keeps what both have. */
export const ACTIONS = [
  { name: "custom-phone-provider", handler: "onExecuteCustomPhoneProvider", sample: "action-custom-phone-provider-event", message: "notification", text: "as_text", channel: "delivery_method" },
  { name: "send-phone-message", handler: "onExecuteSendPhoneMessage", sample: "action-send-phone-message-event", message: "message_options", text: "text", channel: "message_type" },
];

/** The exports of a built Action; `globals` replaces what Auth0's runtime provides. */
export const loadAction = (name, globals = {}) => {
  const sandbox = {
    exports: {},
    require: (id) => {
      assert.equal(id, "node:crypto", "an Action without dependencies requires node:crypto only");
      return nodeRequire(id);
    },
    fetch, AbortSignal, Buffer, URL, console,
    ...globals,
  };
  vm.runInNewContext(readText(`../${name}.js`), sandbox, { filename: `${name}.js` });
  return sandbox.exports;
};

const outputs = []; // everything that any run has said, for the scan at the end of a test file
export const allOutputs = () => outputs;

/** Runs an Action once and tells what Auth0 would see: verdict, code, reason and log lines. */
export const run = async (action, { event = sampleEvent(action.sample), url, secret = SIGNING_SECRET, secrets = { HOOK_URL: url, HOOK_SECRET: secret }, timeLimitMs = 5000, globals = {} } = {}) => {
  const logs = [];
  const calls = [];
  const limits = [];
  const exports = loadAction(action.name, {
    console: { log: (...values) => logs.push(values.map((value) => inspect(value)).join(" ").replace(/^['"]|['"]$/g, "")) },
    AbortSignal: { timeout: (ms) => (limits.push(ms), AbortSignal.timeout(timeLimitMs)) },
    ...globals,
  });
  const api = {
    notification: {
      drop: (reason) => calls.push({ verdict: "drop", reason }),
      retry: (reason) => calls.push({ verdict: "retry", reason }),
    },
  };
  let error;
  await exports[action.handler]({ ...event, secrets }, api).catch((thrown) => (error = thrown));

  const said = [...logs, ...calls.map((call) => call.reason), ...(error ? [error.message, error.code, error.stack, inspect(error, { showHidden: true, depth: 9 }), JSON.stringify(error)] : [])];
  outputs.push({ said, forbidden: confidential(action, event, secrets) });
  assertDiscreet(outputs.at(-1));
  assert.ok(calls.length <= 1, "one verdict at most");
  assert.ok(logs.length <= 1 && logs.every((line) => line.length < 256 && !line.includes("\n")), "one short log line at most");
  assert.ok(calls.every(({ reason }) => reason.length <= 1024));
  if (action.name === "custom-phone-provider") assert.equal(error, undefined, "this Action never throws");
  else assert.deepEqual(calls, [], "this trigger has no api.notification");

  const reason = error?.message ?? calls[0]?.reason;
  const code = /^mitto-phone-hook ([a-z_]+): /.exec(reason)?.[1];
  if (error) assert.equal(error.code, code, "the tenant log shows the error's code");
  return { verdict: error ? "throw" : (calls[0]?.verdict ?? "accepted"), reason, code, logs, limits };
};

/** The verdict that a failure must have: only one trigger can ask for another run. */
export const verdictOf = (action, isRetryable) =>
  action.name === "send-phone-message" ? "throw" : isRetryable ? "retry" : "drop";

const bare = (value) => String(value).replace(/[^A-Za-z0-9]/g, "");

const confidential = (action, event, secrets) => {
  const { recipient, code, [action.text]: text } = event?.[action.message] ?? {};
  const { email, phone_number, name, user_id } = event?.user ?? {};
  const url = typeof secrets?.HOOK_URL === "string" ? secrets.HOOK_URL.trim() : undefined;
  const secret = String(secrets?.HOOK_SECRET ?? "").replace(/^(v1,)?whsec_/, ""); // the prefix is public
  return [recipient, code, text, email, phone_number, name, user_id, secret, url, URL.canParse(url) ? new URL(url).host : undefined]
    .filter((value) => typeof value === "string" && bare(value).length > 3);
};

export const assertDiscreet = ({ said, forbidden }) => {
  for (const line of said) {
    for (const value of forbidden) assert.ok(!bare(line).includes(bare(value)), `an output repeats something confidential: ${line}`);
  }
};

/** A local function: `answer(request, response)` after the whole request has come in. Closed when the test ends. */
export const startServer = async (t, answer) => {
  const requests = [];
  const server = http.createServer(async (request, response) => {
    const chunks = await request.toArray();
    requests.push({ method: request.method, path: request.url, headers: request.headers, body: Buffer.concat(chunks).toString("utf8") });
    answer(request, response);
  });
  return listen(t, server, requests);
};

/** A local server below HTTP: `talk(socket)` as soon as the first bytes of the request have come in. */
export const startRawServer = (t, talk) => {
  const requests = [];
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", (data) => {
      requests.push(data);
      talk(socket);
    });
  });
  return listen(t, server, requests);
};

const listen = async (t, server, requests) => {
  const sockets = new Set();
  server.on("connection", (socket) => sockets.add(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { url: `http://127.0.0.1:${server.address().port}/`, requests };
};

export const json = (status, body, headers = {}) => (_request, response) =>
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(typeof body === "string" ? body : JSON.stringify(body));

export const ACCEPTED = { status: "accepted", message_id: "m-1", segments: 1, duplicate: false, request_id: "req_1" };
export const refusal = (code, isRetryable = false) => ({ error: { code, message: "A constant sentence.", retryable: isRetryable, request_id: "req-7f3A_9" } });

// The reply table of the function. `retry`: certainly not sent, and another try can help.
export const REPLIES = [
  { status: 405, code: "method_not_allowed" },
  { status: 404, code: "not_found" },
  { status: 413, code: "body_too_large" },
  { status: 415, code: "unsupported_encoding" },
  { status: 401, code: "unauthorized" },
  { status: 400, code: "invalid_json" },
  { status: 422, code: "invalid_request" },
  { status: 422, code: "invalid_recipient" },
  { status: 422, code: "voice_unsupported" },
  { status: 422, code: "blocked_country" },
  { status: 422, code: "blocked_number_type" },
  { status: 422, code: "blocked_recipient" },
  { status: 422, code: "code_expired" },
  { status: 422, code: "text_too_long" },
  { status: 409, code: "in_progress" },
  { status: 429, code: "rate_limited", retry: true },
  { status: 502, code: "upstream_rejected" },
  { status: 502, code: "upstream_auth" },
  { status: 503, code: "upstream_unavailable", retry: true },
  { status: 504, code: "outcome_unknown" },
  { status: 500, code: "internal_error" },
];

export const OWN_CODES = ["hook_misconfigured", "hook_unreachable", "hook_timeout", "hook_bad_answer", "voice_unsupported", "invalid_event"];
