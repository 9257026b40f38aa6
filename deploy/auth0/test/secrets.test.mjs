// A wrong set-up is named by the secret's name, never by its value, and nothing is called.
import assert from "node:assert/strict";
import test from "node:test";
import { ACTIONS, allOutputs, assertDiscreet, BEARER_SECRET, run, SIGNING_SECRET, verdictOf } from "./support.mjs";

const URL_OK = "https://hook.example.com/";
const key = (bytes) => `whsec_${Buffer.alloc(bytes, 7).toString("base64")}`;

const WRONG = [
  { title: "no secrets at all", secrets: undefined, names: "HOOK_URL" },
  { title: "no HOOK_URL", secrets: { HOOK_SECRET: SIGNING_SECRET }, names: "HOOK_URL" },
  { title: "a blank HOOK_URL", secrets: { HOOK_URL: "  ", HOOK_SECRET: SIGNING_SECRET }, names: "HOOK_URL" },
  { title: "a HOOK_URL without scheme", secrets: { HOOK_URL: "hook.example.com", HOOK_SECRET: SIGNING_SECRET }, names: "HOOK_URL" },
  { title: "http to the world", secrets: { HOOK_URL: "http://hook.example.com/", HOOK_SECRET: SIGNING_SECRET }, names: "HOOK_URL" },
  { title: "http to a host that begins like loopback", secrets: { HOOK_URL: "http://127.0.0.1.example.com/", HOOK_SECRET: SIGNING_SECRET }, names: "HOOK_URL" },
  { title: "http to localhost of another domain", secrets: { HOOK_URL: "http://localhost.example.com/", HOOK_SECRET: SIGNING_SECRET }, names: "HOOK_URL" },
  { title: "a file", secrets: { HOOK_URL: "file:///etc/passwd", HOOK_SECRET: SIGNING_SECRET }, names: "HOOK_URL" },
  { title: "a password in HOOK_URL", secrets: { HOOK_URL: "https://user:hunter22@hook.example.com/", HOOK_SECRET: SIGNING_SECRET }, names: "HOOK_URL" },
  { title: "no HOOK_SECRET", secrets: { HOOK_URL: URL_OK }, names: "HOOK_SECRET" },
  { title: "a HOOK_SECRET that is no string", secrets: { HOOK_URL: URL_OK, HOOK_SECRET: 42 }, names: "HOOK_SECRET" },
  { title: "a signing secret that is not base64", secrets: { HOOK_URL: URL_OK, HOOK_SECRET: "whsec_not*base64*not*base64*not*base64" }, names: "HOOK_SECRET" },
  { title: "a signing secret that lost its padding", secrets: { HOOK_URL: URL_OK, HOOK_SECRET: key(32).replace("=", "") }, names: "HOOK_SECRET" },
  { title: "a signing secret of 23 bytes", secrets: { HOOK_URL: URL_OK, HOOK_SECRET: key(23) }, names: "HOOK_SECRET" },
  { title: "a signing secret of 65 bytes", secrets: { HOOK_URL: URL_OK, HOOK_SECRET: key(65) }, names: "HOOK_SECRET" },
  ...[(key) => `"${key}"`, (key) => `'${key}'`, (key) => `HOOK_SECRET=${key}`, (key) => `v1:${key}`, (key) => key.toUpperCase()].map((spoil) => ({
    title: `a signing secret with something in front: ${spoil("whsec_...")}`,
    secrets: { HOOK_URL: URL_OK, HOOK_SECRET: spoil(key(32)) },
    names: "HOOK_SECRET",
  })),
  { title: "an empty signing secret", secrets: { HOOK_URL: URL_OK, HOOK_SECRET: "whsec_" }, names: "HOOK_SECRET" },
  { title: "two signing secrets", secrets: { HOOK_URL: URL_OK, HOOK_SECRET: `${key(24)}|${key(24)}` }, names: "HOOK_SECRET" },
  { title: "a bearer secret of 23 characters", secrets: { HOOK_URL: URL_OK, HOOK_SECRET: "b".repeat(23) }, names: "HOOK_SECRET" },
  { title: "two bearer secrets", secrets: { HOOK_URL: URL_OK, HOOK_SECRET: `${BEARER_SECRET}|${BEARER_SECRET}` }, names: "HOOK_SECRET" },
  { title: "a bearer secret with a newline", secrets: { HOOK_URL: URL_OK, HOOK_SECRET: `${BEARER_SECRET}\nx-evil: 1` }, names: "HOOK_SECRET" },
  { title: "a bearer secret with an umlaut", secrets: { HOOK_URL: URL_OK, HOOK_SECRET: `${BEARER_SECRET}ü` }, names: "HOOK_SECRET" },
];

for (const action of ACTIONS) {
  for (const { title, secrets, names } of WRONG) {
    test(`${action.name} calls nobody with ${title}`, async () => {
      let calls = 0;
      // `secrets: null` rather than undefined: undefined would ask for the default of `run`.
      const outcome = await run(action, { secrets: secrets ?? null, globals: { fetch: async () => { calls += 1; } } });
      assert.deepEqual([outcome.verdict, outcome.code, calls], [verdictOf(action, false), "hook_misconfigured", 0]);
      assert.match(outcome.reason, new RegExp(`secret ${names} `));
    });
  }

  for (const bytes of [24, 64]) {
    test(`${action.name} takes a signing secret of ${bytes} bytes`, async () => {
      const fetch = async () => new Response('{"status":"accepted"}');
      assert.equal((await run(action, { url: URL_OK, secret: key(bytes), globals: { fetch } })).verdict, "accepted");
    });
  }
}

test("no run of this file has said anything confidential", () => {
  assert.ok(allOutputs().length > 40);
  allOutputs().forEach(assertDiscreet);
});
