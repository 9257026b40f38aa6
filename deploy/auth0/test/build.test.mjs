// The two files that people paste: up to date, whole, and at home in Auth0's runtime.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import test from "node:test";
import { ACTIONS as BUILT, build } from "../build.mjs";
import { ACCEPTED, ACTIONS, json, loadAction, readText, sampleEvent, SIGNING_SECRET, startServer } from "./support.mjs";

const require = createRequire(import.meta.url);

test("both Actions are built and tested", () => assert.deepEqual([...BUILT].sort(), ACTIONS.map(({ name }) => name).sort()));

for (const { name, handler, sample } of ACTIONS) {
  const source = readText(`../${name}.js`);

  test(`${name}.js is what build.mjs makes of src/`, () => {
    assert.ok(source === build(name), "out of date: run node deploy/auth0/build.mjs");
  });

  test(`${name}.js requires node:crypto and nothing else`, () => {
    assert.deepEqual([...source.matchAll(/\brequire\(([^)]*)\)/g)].map(([, id]) => id), ['"node:crypto"']);
    assert.doesNotMatch(source, /\bimport\b|module\.exports|process\.|globalThis|build: drop/);
  });

  test(`${name}.js exports its handler and nothing else`, () => {
    assert.deepEqual(Object.keys(loadAction(name)), [handler]);
  });

  test(`${name}.js holds no keyword that the Deploy CLI would replace`, () => {
    assert.doesNotMatch(source, /@@|##/);
  });

  test(`${name}.js fits into an Action`, () => {
    assert.ok(source.length < 100_000);
    assert.match(source, /^[\x20-\x7e\n]*$/, "plain ASCII survives every way of pasting");
  });

  test(`${name}.js works as an ordinary CommonJS module, with Node's own globals`, async (t) => {
    const { url, requests } = await startServer(t, json(200, ACCEPTED));
    const event = { ...sampleEvent(sample), secrets: { HOOK_URL: url, HOOK_SECRET: SIGNING_SECRET } };
    await require(`../${name}.js`)[handler](event, {});
    assert.equal(requests.length, 1);
  });
}
