// Whatever happens on the wire: no run lasts longer than its limit, and only what is certainly not sent is tried again.
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import test, { describe } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { ACCEPTED, ACTIONS, allOutputs, assertDiscreet, json, loadAction, run, sampleEvent, SIGNING_SECRET, startRawServer, startServer, verdictOf } from "./support.mjs";

// Before the first look-up: a resolver that does not answer must be given up sooner than a run.
process.env.RES_OPTIONS = "timeout:1 attempts:1";

const OK_HEAD = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
const OK_BODY = JSON.stringify(ACCEPTED);

const drip = (socket, text, everyMs = 10) => {
  let index = 0;
  const timer = setInterval(() => (index < text.length && !socket.destroyed ? socket.write(text[index++]) : clearInterval(timer)), everyMs);
};

// Below the ports that the system gives away: somebody else could be given one that was ours a moment ago.
const closedPort = async () => {
  const server = net.createServer().listen(32000 + Math.floor(Math.random() * 700), "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
};

const TOO_SLOW = [
  { title: "no answer at all", talk: () => {} },
  { title: "a head without a body", talk: (socket) => socket.write(`${OK_HEAD}content-length: 99\r\n\r\n`) },
  { title: "half a body", talk: (socket) => socket.write(`${OK_HEAD}content-length: 99\r\n\r\n{"status":`) },
  { title: "a head that drips", talk: (socket) => drip(socket, `${OK_HEAD}x-filler: ${"a".repeat(400)}\r\n\r\n`) },
  { title: "a body that drips", talk: (socket) => { socket.write(`${OK_HEAD}content-length: 400\r\n\r\n`); drip(socket, `{"status":"accepted"${" ".repeat(380)}}`); } },
  { title: "chunks without an end", talk: (socket) => { socket.write(`${OK_HEAD}transfer-encoding: chunked\r\n\r\n`); drip(socket, "1\r\n \r\n".repeat(100), 5); } },
];

const BROKEN = [
  { title: "a reset instead of an answer", talk: (socket) => socket.resetAndDestroy() },
  { title: "a closed connection instead of an answer", talk: (socket) => socket.end() },
  { title: "a reset within the head", talk: (socket) => socket.write(OK_HEAD, () => socket.resetAndDestroy()) },
  { title: "a close within the head", talk: (socket) => socket.end(OK_HEAD) },
  { title: "a reset within the body", talk: (socket) => socket.write(`${OK_HEAD}content-length: 200\r\n\r\n${OK_BODY}`, () => setTimeout(() => socket.resetAndDestroy(), 20)) },
  { title: "a body shorter than announced, though it is complete JSON", talk: (socket) => socket.end(`${OK_HEAD}content-length: 200\r\n\r\n${OK_BODY}`) },
  { title: "chunks that break off", talk: (socket) => socket.end(`${OK_HEAD}transfer-encoding: chunked\r\n\r\n${OK_BODY.length.toString(16)}\r\n${OK_BODY}\r\n`) },
  { title: "another protocol", talk: (socket) => socket.end("SSH-2.0-OpenSSH_9.6\r\n") },
  { title: "a huge header", talk: (socket) => socket.end(`${OK_HEAD}x-huge: ${"h".repeat(100_000)}\r\ncontent-length: ${OK_BODY.length}\r\n\r\n${OK_BODY}`) },
  { title: "a 503 that breaks off", talk: (socket) => socket.end('HTTP/1.1 503 Service Unavailable\r\ncontent-length: 500\r\n\r\n{"error":{"code":"upstream_unavailable"') },
  { title: "a 429 that breaks off", talk: (socket) => socket.end("HTTP/1.1 429 Too Many Requests\r\ncontent-length: 500\r\n\r\nRate") },
];

// What fetch throws: undici wraps the system's error as the cause.
const failed = (cause) => Object.assign(new TypeError("fetch failed"), { cause });
const system = (code) => Object.assign(new Error(`connect ${code} 203.0.113.9:443`), { code });
const aggregate = (...codes) => Object.assign(new AggregateError(codes.map(system)), { code: codes[0] });

const THROWN = [
  { title: "a refused connection", error: failed(system("ECONNREFUSED")), code: "hook_unreachable", retry: true },
  { title: "a host that DNS does not know", error: failed(system("ENOTFOUND")), code: "hook_unreachable", retry: true },
  { title: "a DNS that does not answer", error: failed(system("EAI_AGAIN")), code: "hook_unreachable", retry: true },
  { title: "a refusal on every address", error: failed(aggregate("ECONNREFUSED", "ECONNREFUSED")), code: "hook_unreachable", retry: true },
  { title: "a refusal on one address of two", error: failed(aggregate("ECONNREFUSED", "ETIMEDOUT")), code: "hook_bad_answer" },
  { title: "an aggregate of nothing", error: failed(aggregate()), code: "hook_bad_answer" },
  { title: "an expired certificate", error: failed(system("CERT_HAS_EXPIRED")), code: "hook_unreachable" },
  { title: "a certificate for another name", error: failed(system("ERR_TLS_CERT_ALTNAME_INVALID")), code: "hook_unreachable" },
  { title: "a self-signed certificate", error: failed(system("DEPTH_ZERO_SELF_SIGNED_CERT")), code: "hook_unreachable" },
  { title: "a reset", error: failed(system("ECONNRESET")), code: "hook_bad_answer" },
  { title: "a connect timeout", error: failed(system("UND_ERR_CONNECT_TIMEOUT")), code: "hook_bad_answer" },
  { title: "a refusal that is not the cause", error: Object.assign(new Error("x"), { code: "ECONNREFUSED" }), code: "hook_bad_answer" },
  { title: "a code that is no system code", error: failed({ code: "please call +41791234567" }), code: "hook_bad_answer" },
  { title: "a code that is a number", error: failed({ code: 20 }), code: "hook_bad_answer" },
  { title: "an error without a cause", error: new TypeError("fetch failed"), code: "hook_bad_answer" },
  { title: "a string", error: "https://hook.example.com/ failed", code: "hook_bad_answer" },
  { title: "nothing", error: undefined, code: "hook_bad_answer" },
];

await fetch("data:,"); // the first fetch of a process loads half of undici, and the limits below are short

describe("answers that are too slow", { concurrency: true }, () => {
  for (const action of ACTIONS) {
    for (const { title, talk } of TOO_SLOW) {
      test(`${action.name} ends in time and asks for no retry after ${title}`, async (t) => {
        const { url, requests } = await startRawServer(t, talk);
        const start = performance.now();
        const outcome = await run(action, { url, timeLimitMs: 2000 });
        assert.ok(performance.now() - start < 8000);
        assert.deepEqual({ verdict: outcome.verdict, code: outcome.code, calls: requests.length }, { verdict: verdictOf(action, false), code: "hook_timeout", calls: 1 });
      });
    }
  }
});

for (const action of ACTIONS) {
  for (const { title, talk } of BROKEN) {
    test(`${action.name} asks for no retry after ${title}`, async (t) => {
      const { url, requests } = await startRawServer(t, talk);
      const outcome = await run(action, { url });
      assert.deepEqual({ verdict: outcome.verdict, code: outcome.code, calls: requests.length }, { verdict: verdictOf(action, false), code: "hook_bad_answer", calls: 1 });
    });
  }

  for (const { title, error, code, retry = false } of THROWN) {
    test(`${action.name} judges what fetch throws: ${title}`, async () => {
      let calls = 0;
      const outcome = await run(action, { url: "https://hook.example.com/", globals: { fetch: async () => { calls += 1; throw error; } } });
      assert.deepEqual({ verdict: outcome.verdict, code: outcome.code, calls }, { verdict: verdictOf(action, retry), code, calls: 1 });
    });
  }

  test(`${action.name} may be run again when the connection was refused`, async () => {
    const outcome = await run(action, { url: `http://127.0.0.1:${await closedPort()}/` });
    assert.equal(outcome.verdict, verdictOf(action, true));
    assert.match(outcome.reason, /^mitto-phone-hook hook_unreachable: .*\(ECONNREFUSED\)$/);
  });

  test(`${action.name} may be run again when every address of the host refused`, async () => {
    const outcome = await run(action, { url: `http://localhost:${await closedPort()}/` });
    assert.deepEqual([outcome.verdict, outcome.code], [verdictOf(action, true), "hook_unreachable"]);
  });

  test(`${action.name} may be run again when the host does not resolve`, async () => {
    const outcome = await run(action, { url: "https://nonexistent.invalid./" });
    assert.deepEqual([outcome.verdict, outcome.code], [verdictOf(action, true), "hook_unreachable"]);
  });

  test(`${action.name} asks for no retry when the address speaks no TLS`, async (t) => {
    const { url } = await startRawServer(t, (socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    const outcome = await run(action, { url: url.replace("http:", "https:") });
    assert.deepEqual([outcome.verdict, outcome.code], [verdictOf(action, false), "hook_bad_answer"]);
  });

  test(`${action.name} follows no redirect`, async (t) => {
    const elsewhere = await startServer(t, json(200, ACCEPTED));
    const { url } = await startServer(t, json(307, "", { location: elsewhere.url }));
    const outcome = await run(action, { url });
    assert.deepEqual([outcome.code, elsewhere.requests.length], ["hook_bad_answer", 0]);
  });

  test(`${action.name} stops reading an answer of 10 MB`, async (t) => {
    let written = 0;
    const blocks = function* () {
      for (; written < 10_000_000; written += 65_536) yield Buffer.alloc(65_536, " ");
    };
    const { url } = await startServer(t, (_request, response) => pipeline(Readable.from(blocks()), response).catch(() => {}));
    const outcome = await run(action, { url });
    assert.deepEqual([outcome.verdict, outcome.code], [verdictOf(action, false), "hook_bad_answer"]);
    assert.ok(written < 10_000_000, "the rest of the answer was never sent");
  });

  test(`${action.name} is not filled up by a compressed answer`, async (t) => {
    const bomb = gzipSync(Buffer.alloc(10_000_000, " "));
    const { url } = await startServer(t, (_request, response) => response.writeHead(200, { "content-encoding": "gzip" }).end(bomb));
    assert.equal((await run(action, { url })).code, "hook_bad_answer");
  });

  test(`${action.name} reads 8192 bytes and not one more`, async (t) => {
    const exact = await startServer(t, json(200, OK_BODY.padEnd(8192)));
    assert.equal((await run(action, { url: exact.url })).verdict, "accepted");
    const over = await startServer(t, json(200, OK_BODY.padEnd(8193)));
    assert.equal((await run(action, { url: over.url })).code, "hook_bad_answer");
  });

  test(`${action.name} sets itself 9 seconds`, async (t) => {
    const { url } = await startServer(t, json(200, ACCEPTED));
    assert.deepEqual((await run(action, { url })).limits, [9000]);
  });

  test(`${action.name} hangs up when its time is over`, async (t) => {
    let hungUp;
    const { url } = await startRawServer(t, (socket) => (hungUp = once(socket, "close")));
    assert.equal((await run(action, { url, timeLimitMs: 2000 })).code, "hook_timeout");
    assert.ok(hungUp, "the request has come in");
    assert.notEqual(await Promise.race([hungUp, delay(5000, "still there", { ref: false })]), "still there");
  });

  test(`${action.name} ends in time even if fetch ignores the signal`, { timeout: 20_000 }, async (t) => {
    const keepAlive = setInterval(() => {}, 50); // the limit's own timer keeps no process alive
    t.after(() => clearInterval(keepAlive));
    const outcome = await run(action, { url: "https://hook.example.com/", timeLimitMs: 100, globals: { fetch: () => new Promise(() => {}) } });
    assert.equal(outcome.code, "hook_timeout");
  });
}

for (const [method, error] of [["drop", system("ECONNRESET")], ["retry", system("ECONNREFUSED")]]) {
  test(`custom-phone-provider calls api.notification.${method} once even if that throws`, async () => {
    const calls = [];
    const api = { notification: Object.fromEntries(["drop", "retry"].map((name) => [name, () => { calls.push(name); throw new Error("broken api"); }])) };
    const exports = loadAction("custom-phone-provider", { console: { log: () => {} }, fetch: async () => { throw failed(error); } });
    const event = { ...sampleEvent("action-custom-phone-provider-event"), secrets: { HOOK_URL: "https://hook.example.com/", HOOK_SECRET: SIGNING_SECRET } };
    await assert.rejects(exports.onExecuteCustomPhoneProvider(event, api), /broken api/);
    assert.deepEqual(calls, [method]);
  });
}

test("no run of this file has said anything confidential", () => {
  assert.ok(allOutputs().length > 80);
  allOutputs().forEach(assertDiscreet);
});
