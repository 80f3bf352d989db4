// Marking entities in a passage, by mouse or keys; and choosing a type.

import {LETTER, draw, selected} from "./passage.js";

const CAPITAL = /^\p{Lu}/u;

export class Editor {
  // `changed` is called after every change, `choose` returns a promise of a type or null.
  constructor(element, passage, spans, choose, changed) {
    Object.assign(this, {element, passage, choose, changed});
    this.spans = spans.map(([start, end, label]) => ({start, end, label}));
    this.cursor = {start: 0, end: 0};
    this.at = -1;  // which marked entity is selected
    const first = passage.syllables[0];
    if (first) this.cursor = {...first};
    this.draw();
  }

  get value() {
    return this.spans.map(({start, end, label}) => [start, end, label]).sort((a, b) => a[0] - b[0] || b[1] - a[1]);
  }

  draw() {
    draw(this.element, this.passage, [
      ...this.spans.map((one) => ({...one, kind: "entity"})), {...this.cursor, kind: "cursor"},
    ]);
    this.changed();
  }

  fromMouse() {
    const found = selected(this.element);
    const span = found && this.passage.snap(found.start, found.end);
    if (!span) return;
    getSelection().removeAllRanges();
    this.at = -1;
    this.cursor = span;
    this.draw();
    this.type();
  }

  select(number) {
    this.at = number;
    const {start, end} = this.spans[number];
    this.cursor = {start, end};
    this.draw();
  }

  async type(label = null) {
    const chosen = label ?? await this.choose(this.at >= 0 ? this.spans[this.at].label : "");
    if (!chosen) return;
    const own = {...this.cursor, label: chosen};
    const same = (one) => one.start === own.start && one.end === own.end && one.label === own.label;
    if (this.at >= 0) this.spans[this.at] = own;
    else if (!this.spans.some(same)) this.spans.push(own);
    this.at = this.spans.findIndex(same);
    this.draw();
  }

  remove() {
    const found = this.at >= 0 ? this.at
      : this.spans.findIndex((one) => one.start === this.cursor.start && one.end === this.cursor.end);
    if (found < 0) return;
    this.spans.splice(found, 1);
    this.at = -1;
    this.draw();
  }

  // Returns whether the key was one of the editor's.
  key(event) {
    const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (event.key === "Tab" && this.spans.length) {
      const order = this.spans.map((one, number) => ({...one, number})).sort((a, b) => a.start - b.start || b.end - a.end);
      const now = order.findIndex((one) => one.number === this.at);
      this.select(order[(now + (event.shiftKey ? -1 : 1) + order.length) % order.length].number);
    } else if (step && (event.shiftKey || event.altKey)) {
      const which = event.altKey && event.shiftKey ? "start" : "end";
      this.cursor = this.passage.move(this.cursor, which, step, event.altKey);
      if (this.at >= 0) this.spans[this.at] = {...this.cursor, label: this.spans[this.at].label};
      this.draw();
    } else if (step) {
      this.go(step, () => true);
    } else if (event.key === "w" || event.key === "b") {
      this.go(event.key === "w" ? 1 : -1, (one) => CAPITAL.test(this.passage.slice(one.start, one.end)));
    } else if (event.key === "Enter" || event.key === "t") {
      this.type();
    } else if (event.key === "Delete" || event.key === "Backspace" || event.key === "x") {
      this.remove();
    } else {
      return false;
    }
    return true;
  }

  go(step, wanted) {
    const {syllables} = this.passage;
    let place = step > 0 ? syllables.findLastIndex((one) => one.end <= this.cursor.end)
      : syllables.findIndex((one) => one.start >= this.cursor.start);
    const word = (one) => LETTER.test(this.passage.slice(one.start, one.end));
    do place += step; while (syllables[place] && !(word(syllables[place]) && wanted(syllables[place])));
    if (!syllables[place]) return;
    this.at = -1;
    this.cursor = {...syllables[place]};
    this.draw();
  }
}

export class Chooser {
  constructor(types) {
    this.types = types;
    this.recent = [];
    this.dialog = document.getElementById("chooser");
    this.input = document.getElementById("type");
    this.list = document.getElementById("types");
    this.input.addEventListener("input", () => this.filter());
    // The event comes late: the dialog may be open again for the next question.
    this.dialog.addEventListener("close", () => { if (!this.dialog.open) this.done(null); });
    this.dialog.addEventListener("keydown", (event) => this.key(event));
    this.list.addEventListener("click", (event) => {
      const item = event.target.closest("li");
      if (item) this.done(item.textContent);
    });
    this.done = () => {};
  }

  // A promise of the chosen type, or of null.
  ask(current = "") {
    this.input.value = current;
    this.filter(true);
    this.dialog.showModal();
    this.input.focus();
    this.input.select();
    return new Promise((resolve) => {
      this.done = (label) => {
        this.done = () => {};
        if (label) this.recent = [label, ...this.recent.filter((one) => one !== label)];
        this.dialog.close();
        resolve(label);
      };
    });
  }

  filter(everything = false) {
    const wanted = this.input.value.trim().toLowerCase();
    const all = [...new Set([...this.recent, ...this.types])];
    const found = everything || !wanted ? all
      : [...all.filter((one) => one.startsWith(wanted)), ...all.filter((one) => !one.startsWith(wanted) && one.includes(wanted))];
    if (wanted && !everything && !found.includes(wanted)) found.push(wanted);
    this.list.replaceChildren(...found.slice(0, 50).map((label, number) => {
      const item = document.createElement("li");
      item.textContent = label;
      item.id = `type-${number}`;
      item.setAttribute("role", "option");
      return item;
    }));
    this.mark(0);
  }

  mark(number) {
    const items = this.list.children;
    if (!items.length) return;
    this.at = (number + items.length) % items.length;
    for (const item of items) item.setAttribute("aria-selected", String(item === items[this.at]));
    items[this.at].scrollIntoView({block: "nearest"});
    this.input.setAttribute("aria-activedescendant", items[this.at].id);
  }

  key(event) {
    event.stopPropagation();
    if (event.isComposing) return;  // an input method is at work
    if (event.key === "ArrowDown" || event.key === "ArrowUp") this.mark(this.at + (event.key === "ArrowDown" ? 1 : -1));
    else if (event.key === "Enter") this.done(this.list.children[this.at]?.textContent ?? null);
    else return;
    event.preventDefault();
  }
}
