// Runs one Action on one sample event against a function that is really there; prints what Auth0 would see.
// node end-to-end.mjs ACTION, with HOOK_URL, HOOK_SECRET and CODE in the environment.
import { ACTIONS, run, sampleEvent } from "./support.mjs";

const action = ACTIONS.find(({ name }) => name === process.argv[2]);
const event = sampleEvent(action.sample);
event[action.message].code = process.env.CODE;
event[action.message][action.text] = `Your code is ${process.env.CODE}`;
const seen = await run(action, { event, url: process.env.HOOK_URL, secret: process.env.HOOK_SECRET });
console.log(JSON.stringify(seen));
