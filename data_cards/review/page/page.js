// The review page: shows one item at a time, sends each answer before it shows the next.

import {Chooser, Editor} from "./editor.js";
import {Passage, draw} from "./passage.js";

const $ = (id) => document.getElementById(id);
const state = {mode: "verify", item: null, passage: null, editor: null, step: "", busy: false};
let chooser;

const MODES = {
  verify: ["Verify", "Is this entity right? Measures precision."],
  blind: ["Blind", "Mark every entity before you see any prediction. Measures recall."],
  correct: ["Correct", "Fix the most doubtful passages. Measures nothing."],
  settle: ["Settle", "Decide where reviewers differ."],
};
const ENTITY_KEYS = [
  ["y", "Right", "right"], ["t", "Wrong type", "type"], ["s", "Wrong span", "span"], ["n", "No entity", "none"],
  ["u", "Unsure", "unsure"],
];
const EDIT_KEYS = [
  ["← →", "move by syllable"], ["w b", "next, previous capitalised syllable"], ["Shift+← →", "move the right edge by syllable"],
  ["Alt+← →", "move the right edge by character"], ["Alt+Shift+← →", "move the left edge by character"],
  ["Enter", "give the marked words a type"], ["1 … 9", "give a recent type"], ["Tab", "select the next entity"],
  ["x", "remove the entity"], ["d", "done"],
];
const HELP = {
  "Verify, settle": [...ENTITY_KEYS.map(([key, name]) => [key, name.toLowerCase()]), ["z", "undo, and see the entity again"]],
  "Wrong span": [["← →", "move the right edge by syllable"], ["Shift+← →", "move the left edge by syllable"],
    ["Alt", "with either: by character"], ["t", "change the type too"], ["Enter", "accept"], ["Esc", "cancel"]],
  "Blind, correct": EDIT_KEYS,
  "Everywhere": [["z", "undo"], ["?", "this help"]],
};

async function call(path, body) {
  const response = await fetch(`api/${path}`, body === undefined ? {} : {
    method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body),
  });
  const value = await response.json();
  if (!response.ok) throw new Error(value.error ?? response.statusText);
  return value;
}

async function attempt(work) {
  if (state.busy) return;
  state.busy = true;
  try {
    await work();
  } catch (error) {
    say(error instanceof TypeError ? "The server does not answer. Start it again: vner-annotate review DIR" : error.message, true);
  } finally {
    state.busy = false;
  }
}

function say(text, bad = false) {
  $("message").textContent = text;
  $("message").classList.toggle("bad", bad);
}

function show(answer) {
  state.mode = answer.mode;
  state.item = answer.item;
  state.step = "";
  state.editor = null;
  for (const button of $("modes").children) button.setAttribute("aria-current", String(button.dataset.mode === state.mode));
  progress(answer.progress);
  say(answer.message ?? "");
  $("list").replaceChildren();
  $("why").textContent = state.item?.why ? `Why this passage: ${state.item.why}` : "";
  if (!state.item) {
    state.passage = null;
    $("passage").replaceChildren();
    $("question").textContent = state.mode === "settle" ? "Reviewers differ about nothing that is not settled." : "Nothing is left here.";
    $("actions").replaceChildren();
    return;
  }
  state.passage = new Passage(state.item.text);
  if (state.mode === "verify" || state.mode === "settle") entity();
  else edit(state.mode === "blind" ? [] : state.item.predicted);
  $("passage").focus({preventScroll: true});
}

function percent(value) { return (100 * value).toFixed(1); }

function progress({done, estimate, left, width}) {
  const parts = [`${done} done`];
  if (estimate?.value !== undefined) {
    parts.push(`${state.mode === "verify" ? "precision" : "recall"} ${percent(estimate.value)} % (${percent(estimate.low)} to ${percent(estimate.high)})`);
  }
  if (left !== undefined) parts.push(left ? `${left} more to ±${+(100 * width).toFixed(1)}` : `narrower than ±${+(100 * width).toFixed(1)}`);
  $("progress").textContent = parts.join(" · ");
  const share = left === undefined ? null : (100 * done) / Math.max(1, done + left);
  $("bar").hidden = share === null;
  if (share !== null) {
    $("bar").firstElementChild.style.width = `${share}%`;
    $("bar").setAttribute("aria-valuenow", String(Math.round(share)));
  }
}

function button(key, name, work) {
  const made = document.createElement("button");
  made.type = "button";
  made.setAttribute("aria-keyshortcuts", key);
  const label = document.createElement("kbd");
  label.textContent = key;
  made.append(label, ` ${name}`);
  made.addEventListener("click", work);
  return made;
}

function question(...parts) {
  $("question").replaceChildren(...parts.map(([text, strong]) => {
    const made = document.createElement(strong ? "b" : "span");
    made.textContent = text;
    return made;
  }));
}

// One predicted entity: verify and settle.

function entity() {
  const {mention, label, spans, opinions} = state.item;
  draw($("passage"), state.passage, spans.map(([start, end], number) => ({start, end, kind: number ? "same" : "focus"})));
  $("passage").classList.add("still");
  $("passage").querySelector(".focus")?.scrollIntoView({block: "nearest"});
  question(["Is "], [mention, true], [" an entity of type "], [label, true], ["?"]);
  if (opinions) {
    const said = {right: "right", none: "no entity", type: "wrong type", span: "wrong span"};
    $("list").replaceChildren(...opinions.map((one) => {
      const made = document.createElement("span");
      made.textContent = `“${said[one.verdict]}${one.new_mention ? `: ${one.new_mention}` : ""}${one.new_label ? ` (${one.new_label})` : ""}”`;
      return made;
    }));
  }
  $("actions").replaceChildren(...ENTITY_KEYS.map(([key, name, verdict]) => button(key, name, () => judge(verdict))), button("z", "Undo", undo));
}

async function judge(verdict) {
  const {passage_id, mention, label, spans} = state.item;
  const answer = {mode: state.mode, passage_id, mention, label, verdict};
  if (verdict === "type") {
    const chosen = await chooser.ask("");
    if (!chosen) return;
    answer.new_label = chosen;
  }
  if (verdict === "span") {
    const [start, end] = spans[0];
    state.step = "span";
    state.span = {start, end, label};
    resize();
    return;
  }
  await attempt(async () => show(await call("decide", answer)));
}

function resize() {
  draw($("passage"), state.passage, [{...state.span, kind: "focus"}]);
  question(["The entity is "], [state.passage.slice(state.span.start, state.span.end), true], [" of type "], [state.span.label, true]);
  $("actions").replaceChildren(
    button("→", "Right edge out", () => nudge("end", 1, false)), button("←", "Right edge in", () => nudge("end", -1, false)),
    button("Shift+←", "Left edge out", () => nudge("start", -1, false)), button("Shift+→", "Left edge in", () => nudge("start", 1, false)),
    button("t", "Type", retype), button("Enter", "Accept", accept), button("Esc", "Cancel", cancel));
}

function nudge(which, step, byCharacter) {
  state.span = state.passage.move(state.span, which, step, byCharacter);
  resize();
}

async function retype() {
  const chosen = await chooser.ask("");
  if (chosen) state.span.label = chosen;
  resize();
}

function cancel() {
  state.step = "";
  entity();
}

async function accept() {
  const {passage_id, mention, label} = state.item;
  const {start, end, label: new_label} = state.span;
  await attempt(async () => show(await call("decide", {
    mode: state.mode, passage_id, mention, label, verdict: "span", new_span: [start, end],
    new_label: new_label === label ? "" : new_label,
  })));
}

// A whole passage: blind and correct.

function edit(spans) {
  $("passage").classList.remove("still");
  state.editor = new Editor($("passage"), state.passage, spans, (current) => chooser.ask(current), () => listed());
  const only = state.item.types?.length ? ` Look for: ${state.item.types.join(", ")}.` : "";
  question([state.mode === "blind" ? `Mark every entity of this passage.${only}` : "Fix the entities of this passage."]);
  $("actions").replaceChildren(
    button("Enter", "Type", () => state.editor.type()), button("x", "Remove", () => state.editor.remove()),
    button("d", "Done", done), button("z", "Undo", undo));
}

function listed() {
  const editor = state.editor;
  if (!editor) return;
  const order = editor.spans.map((one, number) => ({...one, number})).sort((a, b) => a.start - b.start || b.end - a.end);
  $("list").replaceChildren(...order.map(({start, end, label, number}) => {
    const made = document.createElement("button");
    made.type = "button";
    made.classList.toggle("on", number === editor.at);
    made.textContent = `${state.passage.slice(start, end)} · ${label}`;
    made.addEventListener("click", () => editor.select(number));
    return made;
  }));
}

async function done() {
  if (state.mode === "correct") {
    await send(state.editor.value, []);
    return;
  }
  // The teacher's entities appear only now; each difference is settled.
  state.marked = state.editor.value;
  const key = ([start, end, label]) => `${start} ${end} ${label}`;
  const mine = new Set(state.marked.map(key));
  const theirs = new Set(state.item.predicted.map(key));
  state.agreed = state.marked.filter((one) => theirs.has(key(one)));
  state.open = [
    ...state.item.predicted.filter((one) => !mine.has(key(one))).map((span) => ({span, by: "The teacher has"})),
    ...state.marked.filter((one) => !theirs.has(key(one))).map((span) => ({span, by: "Only you have"})),
  ];
  state.settled = [];
  state.editor = null;
  state.step = "differences";
  await difference();
}

async function difference() {
  if (!state.open.length) {
    await send([...state.agreed, ...state.settled], state.marked);
    return;
  }
  const {span: [start, end, label], by} = state.open[0];
  $("passage").classList.add("still");
  draw($("passage"), state.passage, [
    ...[...state.agreed, ...state.settled].map(([s, e, l]) => ({start: s, end: e, label: l, kind: "entity"})),
    {start, end, kind: "focus"},
  ]);
  question([`${by} `], [state.passage.slice(start, end), true], [" as "], [label, true], [". Is it right?"]);
  const count = state.open.length;
  $("list").replaceChildren();
  say(`${count} ${count === 1 ? "difference" : "differences"} to settle`);
  $("actions").replaceChildren(button("y", "Right", () => settle(true)), button("n", "Not an entity of this type", () => settle(false)));
}

async function settle(right) {
  const {span} = state.open.shift();
  if (right) state.settled.push(span);
  await difference();
}

async function send(entities, marked) {
  await attempt(async () => show(await call("decide", {mode: state.mode, passage_id: state.item.passage_id, entities, marked})));
}

async function undo() {
  await attempt(async () => show(await call("undo", {mode: state.mode})));
}

async function enter(mode) {
  await attempt(async () => show(await call(`next?mode=${encodeURIComponent(mode)}`)));
}

function keys(event) {
  if (document.querySelector("dialog[open]") || event.isComposing || event.ctrlKey || event.metaKey) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
  let used = true;
  if (key === "?") $("help").showModal();
  else if (!state.item) used = key === "z" && (undo(), true);
  else if (state.step === "span") {
    if (step) nudge(event.shiftKey ? "start" : "end", step, event.altKey);
    else if (key === "Enter") accept();
    else if (key === "Escape") cancel();
    else if (key === "t") retype();
    else used = false;
  } else if (state.step === "differences") {
    if (key === "y") settle(true);
    else if (key === "n") settle(false);
    else used = false;
  } else if (key === "z") undo();
  else if (state.editor) {
    const recent = /^[1-9]$/.test(key) ? [...chooser.recent, ...chooser.types][Number(key) - 1] : null;
    if (key === "d") done();
    else if (recent) state.editor.type(recent);
    else used = event.target.closest("button") && (key === "Enter" || key === "Tab") ? false : state.editor.key(event);
  } else {
    const found = ENTITY_KEYS.find(([letter]) => letter === key);
    if (found) judge(found[2]);
    else used = false;
  }
  if (used) event.preventDefault();
}

function help() {
  const parts = [];
  for (const [title, rows] of Object.entries(HELP)) {
    const head = document.createElement("h2");
    head.textContent = title;
    const table = document.createElement("table");
    for (const [key, name] of rows) {
      const row = table.insertRow();
      const label = document.createElement("kbd");
      label.textContent = key;
      row.insertCell().append(label);
      row.insertCell().textContent = name;
    }
    parts.push(head, table);
  }
  $("keys").replaceChildren(...parts);
}

async function start() {
  const {types, mode, modes, reviewer} = await call("start");
  chooser = new Chooser(types);
  $("who").textContent = `Reviewer: ${reviewer}`;
  $("modes").replaceChildren(...modes.map((name) => {
    const made = document.createElement("button");
    made.type = "button";
    made.dataset.mode = name;
    made.textContent = MODES[name][0];
    made.title = MODES[name][1];
    made.addEventListener("click", () => enter(name));
    return made;
  }));
  help();
  $("help-button").addEventListener("click", () => $("help").showModal());
  $("close-help").addEventListener("click", () => $("help").close());
  $("passage").addEventListener("mouseup", () => state.editor?.fromMouse());
  document.addEventListener("keydown", keys);
  await enter(mode);
}

start().catch((error) => say(error.message, true));
