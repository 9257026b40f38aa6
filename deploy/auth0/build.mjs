// Writes the two Actions: the Auth0 dashboard takes one file, so each gets its own copy of what they share.
// node deploy/auth0/build.mjs
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const SHARED = ["failure", "request", "call-hook"];
export const ACTIONS = ["send-phone-message", "custom-phone-provider"];

const read = (path) => readFileSync(new URL(path, import.meta.url), "utf8");

// Lines that hold the parts together in src/ and have no place in one file.
const part = (name) => read(`src/${name}.js`).replace(/^.*\/\/ build: drop\n/gm, "").trim();

export const build = (action) => `// Built by deploy/auth0/build.mjs: edit deploy/auth0/src/ instead.
// Auth0 Action for the trigger ${action}. Secrets: HOOK_URL, HOOK_SECRET. No dependencies.
"use strict";

${[...SHARED, action].map(part).join("\n\n")}
`;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const action of ACTIONS) writeFileSync(new URL(`${action}.js`, import.meta.url), build(action));
}
