// Every reply that the function can give, and what else may answer at its address.
import assert from "node:assert/strict";
import test from "node:test";
import { ACCEPTED, ACTIONS, allOutputs, assertDiscreet, json, refusal, REPLIES, run, sampleEvent, startServer, verdictOf } from "./support.mjs";

// Not the function's replies, or not in its words. Nothing here may pass for an acceptance.
const STRANGE = [
  { title: "503 of the platform, no JSON of ours", answer: json(503, "<html>Service Unavailable</html>") },
  { title: "503 with a code that says nothing about sending", answer: json(503, refusal("internal_error")), code: "internal_error" },
  { title: "503 that contradicts itself", answer: json(503, refusal("outcome_unknown", true)), code: "outcome_unknown" },
  { title: "429 of the platform, no JSON of ours", answer: json(429, "Rate exceeded."), retry: true },
  { title: "502 with the code of a 503", answer: json(502, refusal("upstream_unavailable", true)), code: "upstream_unavailable" },
  { title: "500 with an HTML page", answer: json(500, "<h1>Internal Server Error</h1>") },
  { title: "403 of the platform", answer: json(403, "<h1>Forbidden</h1>") },
  { title: "200 with an HTML page", answer: json(200, "<html>It works!</html>", { "content-type": "text/html" }) },
  { title: "200 without a body", answer: json(200, "") },
  { title: "200 with another status word", answer: json(200, { status: "queued" }) },
  { title: "200 with accepted in capitals", answer: json(200, { status: "ACCEPTED" }) },
  { title: "200 with accepted in a list", answer: json(200, { status: ["accepted"] }) },
  { title: "200 with the bare string", answer: json(200, '"accepted"') },
  { title: "200 with a list", answer: json(200, "[]") },
  { title: "200 with null", answer: json(200, "null") },
  { title: "200 with an error object", answer: json(200, refusal("blocked_country")) },
  { title: "200 with JSON cut off", answer: json(200, '{"status":"accepted","message_id"') },
  { title: "200 with a byte order mark", answer: json(200, '\uFEFF{"status":"queued"}') },
  { title: "201 with accepted", answer: json(201, ACCEPTED) },
  { title: "202 with accepted", answer: json(202, ACCEPTED) },
  { title: "204", answer: (_request, response) => response.writeHead(204).end() },
  { title: "400 with accepted", answer: json(400, ACCEPTED) },
  { title: "302 to another address", answer: json(302, "", { location: "http://127.0.0.1:9/elsewhere" }) },
  { title: "307 to another address", answer: json(307, "", { location: "http://127.0.0.1:9/elsewhere" }) },
  { title: "302 with a code of ours", answer: json(302, refusal("rate_limited", true), { location: "/" }) },
  { title: "a code in capitals", answer: json(422, refusal("BLOCKED")) },
  { title: "a code with a newline", answer: json(422, refusal("blocked\ncountry")) },
  { title: "a code with a newline at its end", answer: json(422, refusal("blocked_country\n")) },
  { title: "a code of 41 letters", answer: json(422, refusal("a".repeat(41))) },
  { title: "a code that is a number", answer: json(422, refusal(60204)) },
  { title: "a code that is an object", answer: json(422, refusal({ toString: "blocked_country" })) },
  { title: "an error that is a string", answer: json(422, { error: "blocked_country" }) },
  { title: "an error that is null", answer: json(422, { error: null }) },
];

for (const action of ACTIONS) {
  test(`${action.name} is content with 200 and accepted, and says nothing`, async (t) => {
    const { url, requests } = await startServer(t, json(200, ACCEPTED));
    const { verdict, logs } = await run(action, { url });
    assert.deepEqual({ verdict, logs, calls: requests.length }, { verdict: "accepted", logs: [], calls: 1 });
  });

  test(`${action.name} is content with a duplicate of an accepted message`, async (t) => {
    const { url } = await startServer(t, json(200, { ...ACCEPTED, duplicate: true }));
    assert.equal((await run(action, { url })).verdict, "accepted");
  });

  for (const { status, code, retry = false } of REPLIES) {
    test(`${action.name} hands on ${status} ${code}`, async (t) => {
      const { url, requests } = await startServer(t, json(status, refusal(code, retry)));
      const outcome = await run(action, { url });
      assert.equal(outcome.verdict, verdictOf(action, retry));
      assert.equal(outcome.code, code);
      assert.match(outcome.reason, new RegExp(`^mitto-phone-hook ${code}: .*\\(HTTP ${status}, request req-7f3A_9\\)$`));
      assert.deepEqual(outcome.logs, [outcome.reason]);
      assert.equal(requests.length, 1);
    });
  }

  for (const { title, answer, code = "hook_bad_answer", retry = false } of STRANGE) {
    test(`${action.name} takes no acceptance from ${title}`, async (t) => {
      const { url, requests } = await startServer(t, answer);
      const outcome = await run(action, { url });
      assert.equal(outcome.verdict, verdictOf(action, retry));
      assert.equal(outcome.code, code);
      assert.equal(requests.length, 1);
    });
  }

  test(`${action.name} prints nothing of an answer that echoes the request`, async (t) => {
    const { [action.message]: message } = sampleEvent(action.sample);
    const digits = message.recipient.replace(/[^0-9]/g, "");
    for (const echoed of [message.code, message.recipient, digits, digits.slice(-8), message[action.text]]) {
      const { url } = await startServer(t, json(422, { error: { code: echoed, message: echoed, request_id: echoed } }));
      const { code, reason } = await run(action, { url });
      assert.equal(code, "hook_bad_answer");
      assert.match(reason, /\(HTTP 422\)$/);
    }
  });

  test(`${action.name} prints no code made of letters when the answer echoes it`, async (t) => {
    const event = sampleEvent(action.sample);
    event[action.message].code = "lettersonly";
    const { url } = await startServer(t, json(422, refusal("lettersonly")));
    assert.equal((await run(action, { url, event })).code, "hook_bad_answer");
  });

  test(`${action.name} prints no secret when the answer echoes it`, async (t) => {
    const { url } = await startServer(t, (request, response) =>
      json(422, { error: { code: "blocked_country", request_id: request.headers.authorization.replace("Bearer ", "") } })(request, response));
    const { reason } = await run(action, { url, secret: "abcdefghijklmnopqrstuvwxyz0123" });
    assert.match(reason, /^mitto-phone-hook blocked_country: .*\(HTTP 422\)$/);
  });

  for (const requestId of ["", "a".repeat(65), "a b", "a\nb", "<script>", 7, null, "req\u0660"]) {
    test(`${action.name} leaves out the request id ${JSON.stringify(requestId)}`, async (t) => {
      const { url } = await startServer(t, json(422, { error: { code: "blocked_country", request_id: requestId } }));
      assert.match((await run(action, { url })).reason, /^mitto-phone-hook blocked_country: .*\(HTTP 422\)$/);
    });
  }

  test(`${action.name} keeps the longest code and request id within one log line`, async (t) => {
    const { url } = await startServer(t, json(503, { error: { code: "q".repeat(40), request_id: "R".repeat(64) } }));
    const { reason, logs } = await run(action, { url });
    assert.ok(reason.includes("q".repeat(40)) && reason.includes("R".repeat(64)));
    assert.equal(logs[0], reason);
  });
}

test("no run of this file has said anything confidential", () => {
  assert.ok(allOutputs().length > 100);
  allOutputs().forEach(assertDiscreet);
});
