// The page of the inbox: shows what the server tells, and asks the server to call. It keeps nothing.

const token = document.querySelector("meta[name=token]").content;
const byId = (id) => document.getElementById(id);
const LABELS = { received: "Received", authenticated: "Authenticated", checked: "Checked", sent: "Sent", reported: "Reported" };
const STATES = { done: "done", failed: "failed", unknown: "unknown", waiting: "waiting", skipped: "nothing to do", ahead: "not reached" };
const NOT_DELIVERED = ["undelivered", "failed", "rejected", "expired"];
const timeOfDay = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const shortTime = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });

const KEPT = 100;

const bubbles = new Map();
const journeys = new Map();
let latestCode = "";

function make(name, { className = "", text = "", ...attributes } = {}, ...children) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text) element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function icon(state) {
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  const use = document.createElementNS(namespace, "use");
  use.setAttribute("href", `#${state}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

const seconds = (value) => `${value.toFixed(1)} s`;
const duration = (milliseconds) => (milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : seconds(milliseconds / 1000));
const number = (text) => text.replace(/^\+1(\d{3})(\d{3})(\d{4})$/, "+1 $1 $2 $3");

function forgetOldest(map) {
  if (map.size <= KEPT) return;
  const [oldest, element] = map.entries().next().value;
  map.delete(oldest);
  element.remove();
}

function say(text) {
  byId("news").textContent = text;
}

// The handset.

function wordsOf(bubble) {
  if (bubble.status === "delivered") return `Delivered after ${seconds(bubble.after_seconds)}`;
  if (NOT_DELIVERED.includes(bubble.status)) return `Not on the handset: ${bubble.status}`;
  return "On its way";
}

function segmentsOf(bubble) {
  const count = bubble.segments.length;
  const list = bubble.segments.map(([text, used, room]) =>
    make("li", {}, make("span", { text, dir: "auto" }), make("small", { text: `${used} of ${room}` })));
  return make("details", {},
    make("summary", { text: `${count} segment${count === 1 ? "" : "s"} · ${bubble.encoding}` }),
    make("ol", { className: "segments" }, ...list));
}

function newBubble(bubble) {
  const text = make("p", { className: "bubble", dir: "auto" });
  for (const [words, isCode] of bubble.words) text.append(isCode ? make("mark", { text: words }) : words);
  const details = segmentsOf(bubble);
  const status = make("span", { className: "status" });
  const item = make("li", {},
    make("p", { className: "day", text: `${bubble.sender} · ${shortTime.format(bubble.at * 1000)}` }),
    text, make("div", { className: "meta" }, status, make("span", { text: number(bubble.to) }), details));
  bubbles.set(bubble.id, item);
  byId("bubbles").append(item);
  forgetOldest(bubbles);
  byId("sender").textContent = bubble.sender;
  byId("avatar").textContent = bubble.sender.slice(0, 1);
  const code = bubble.words.find(([, isCode]) => isCode);
  if (code) {
    latestCode = code[0];
    byId("copy").replaceChildren(make("small", { text: "Copy code" }), make("b", { text: latestCode }));
    byId("copy").hidden = false;
  }
  return item;
}

function showBubble(bubble, isNews = true) {
  const isNew = !bubbles.has(bubble.id);
  const item = isNew ? newBubble(bubble) : bubbles.get(bubble.id);
  item.dataset.status = NOT_DELIVERED.includes(bubble.status) ? "lost" : bubble.status;
  item.querySelector(".status").textContent = wordsOf(bubble);
  byId("no-bubbles").hidden = true;
  if (isNew) item.parentElement.parentElement.scrollTo({ top: 1e6 });
  if (isNew && isNews) say(`New message from ${bubble.sender}: ${bubble.words.map(([words]) => words).join("")}`);
}

// The calls.

function outcomeOf(journey) {
  const reported = journey.steps.at(-1);
  const ended = journey.steps.find((step) => ["failed", "unknown", "skipped"].includes(step.state) && step !== reported);
  if (ended?.state === "skipped" && journey.outcome === "accepted") return ["skipped", "A repeated call", ended.detail];
  if (ended) return [ended.state, [journey.outcome, journey.why].filter(Boolean).join(" · "), ended.detail];
  if (!journey.outcome && reported.state !== "done") return ["waiting", "Running", ""];
  if (reported.state === "done") return ["done", `On the handset after ${duration(reported.after_ms)}`, ""];
  if (reported.state === "failed") return ["failed", reported.detail, "Mitto accepted the message, but the handset did not receive it."];
  return ["waiting", "Accepted, no report yet", ""];
}

function newJourney(journey) {
  const card = make("li", { className: "journey card" },
    make("div", { className: "head" }, make("h3"), make("span", { className: "to" }),
      make("time", { text: timeOfDay.format(journey.started * 1000), datetime: new Date(journey.started * 1000).toISOString() })),
    make("p", { className: "outcome" }),
    make("ol", { className: "steps" }),
    make("div", { className: "foot" }, make("p", { className: "reading" }),
      make("details", { className: "log" }, make("summary", { text: "Log" }), make("pre", { tabindex: "0" }))));
  journeys.set(journey.id, card);
  byId("journeys").prepend(card);
  forgetOldest(journeys);
  return card;
}

function stepItem(step) {
  const label = make("span", { className: "name", text: LABELS[step.name] });
  const words = step.state === "done" || step.name === "reported" ? step.detail : "";
  const when = make("span", { className: "when", text: [step.after_ms === null ? "" : duration(step.after_ms), words].filter(Boolean).join(" · ") });
  return make("li", { "data-state": step.state },
    make("span", { className: "dot" }, icon(step.state)), label, make("span", { className: "sr", text: `: ${STATES[step.state]} ` }), when);
}

function showJourney(journey, isNews = true) {
  const card = journeys.get(journey.id) ?? newJourney(journey);
  const [state, words, sentence] = outcomeOf(journey);
  const had = card.dataset.state;
  card.dataset.state = state;
  card.querySelector("h3").textContent = journey.title;
  card.querySelector(".to").textContent = number(journey.to);
  card.querySelector(".outcome").replaceChildren(make("b", { text: words }), ...(sentence ? [make("span", { text: sentence })] : []));
  card.querySelector(".steps").replaceChildren(...journey.steps.map(stepItem));
  card.querySelector(".reading").textContent = journey.reading ? `${journey.title} sees ${journey.reading}` : "";
  card.querySelector("pre").textContent = journey.log.map((line) => JSON.stringify(line, null, 2)).join("\n");
  card.querySelector("details").hidden = journey.log.length === 0;
  byId("no-journeys").hidden = true;
  byId("count").textContent = String(journeys.size);
  if (isNews && state !== had && ["done", "failed", "unknown"].includes(state)) say(`${journey.title}: ${words}. ${sentence}`);
}

// What the server tells.

function clear() {
  for (const map of [bubbles, journeys]) map.clear();
  for (const id of ["bubbles", "journeys"]) byId(id).replaceChildren();
  for (const id of ["no-bubbles", "no-journeys"]) byId(id).hidden = false;
  byId("count").textContent = "";
  byId("copy").hidden = true;
  byId("sender").textContent = "Messages";
  byId("avatar").textContent = "M";
}

function choose(id, name, options) {
  if (byId(id).childElementCount) return;
  byId(id).append(...options.map(([value, label, words = ""]) => make("label", { title: words },
    make("input", { type: "radio", name, value }), make("span", { text: label }))));
}

function fillSelect(id, options, chosen) {
  if (byId(id).childElementCount) return;
  byId(id).append(...options.map(([value, label]) => make("option", { value, text: label })));
  byId(id).value = chosen;
}

function showState({ mood, report }) {
  for (const value of [mood, report]) document.querySelector(`input[type=radio][value=${value}]`).checked = true;
  const words = document.querySelector(`input[value=${report}]`).parentElement.title;
  byId("report-words").textContent = words.charAt(0).toUpperCase() + words.slice(1);
}

function showAll(all) {
  clear();
  fillSelect("platform", all.platforms, "supabase");
  fillSelect("case", all.cases, "ok");
  choose("moods", "mood", all.moods);
  choose("reports", "report", all.reports);
  showState(all);
  for (const bubble of all.bubbles) showBubble(bubble, false);
  for (const journey of all.journeys) showJourney(journey, false);
}

function setLive(isLive) {
  byId("live").textContent = isLive ? "Live" : "Reconnecting";
  byId("live").dataset.live = isLive;
}

const events = new EventSource("events");
const on = (kind, act) => events.addEventListener(kind, (event) => act(JSON.parse(event.data)));
events.addEventListener("open", () => setLive(true));
events.addEventListener("error", () => setLive(false));
on("snapshot", showAll);
on("bubble", (bubble) => showBubble(bubble));
on("journey", (journey) => showJourney(journey));
on("state", showState);
on("cleared", clear);

// What a person asks for.

function post(path, values) {
  return fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Inbox-Token": token },
    body: JSON.stringify(values),
  });
}

function newCode() {
  const [random] = crypto.getRandomValues(new Uint32Array(1));
  byId("code").value = String(random % 1_000_000).padStart(6, "0");
}

function showWrong(field, sentence) {
  for (const input of byId("call").elements) input.removeAttribute("aria-invalid");
  byId("wrong").textContent = sentence;
  const input = field && byId(field);
  if (!input) return;
  input.setAttribute("aria-invalid", "true");
  input.setAttribute("aria-describedby", "wrong");
  input.focus();
}

byId("call").addEventListener("submit", async (event) => {
  event.preventDefault();
  const response = await post("calls", Object.fromEntries(new FormData(event.target))).catch(() => null);
  if (response?.status === 422) {
    const { field, sentence } = await response.json();
    showWrong(field, sentence);
  } else if (response?.ok) {
    showWrong("", "");
    newCode();
  } else {
    showWrong("", "The server does not respond; is it still running?");
  }
});

for (const id of ["moods", "reports"]) {
  byId(id).addEventListener("change", (event) => post("mitto", { [event.target.name]: event.target.value }));
}
byId("clear").addEventListener("click", () => post("clear", {}));
byId("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText(latestCode.replace(/\D/g, ""));
  say("The code is copied.");
});

function tick() {
  byId("clock").textContent = shortTime.format(new Date()).replace(/\s?[AP]M/i, "");
}
tick();
setInterval(tick, 10_000);
newCode();
