// A passage as code points: the files count code points, the browser UTF-16 units. All offsets here are code points.

export const LETTER = /[\p{L}\p{N}]/u;
const WORD = /[\p{L}\p{M}\p{N}]+(?:[.\-/'’][\p{L}\p{M}\p{N}]+)*|[^\s]/gu;

export class Passage {
  constructor(text) {
    this.text = text;
    this.chars = Array.from(text);
    const units = [0];  // where each code point begins, in UTF-16 units
    for (const char of this.chars) units.push(units[units.length - 1] + char.length);
    const points = new Map(units.map((unit, point) => [unit, point]));
    this.syllables = Array.from(text.matchAll(WORD), (found) => ({
      start: points.get(found.index), end: points.get(found.index + found[0].length),
    })).filter(({start, end}) => start !== undefined && end !== undefined);
  }

  slice(start, end) { return this.chars.slice(start, end).join(""); }

  // The smallest span of whole syllables around [start, end), or null.
  snap(start, end) {
    const touched = this.syllables.filter((one) => one.start < end && one.end > start);
    return touched.length ? {start: touched[0].start, end: touched[touched.length - 1].end} : null;
  }

  // An edge moved by one syllable or one character; `which` is "start" or "end", `step` -1 or 1.
  move(span, which, step, byCharacter) {
    const places = byCharacter ? Array.from({length: this.chars.length + 1}, (_, place) => place)
      : this.syllables.filter((one) => LETTER.test(this.slice(one.start, one.end))).map((one) => one[which]);
    const now = span[which];
    const next = step > 0 ? places.find((place) => place > now) : places.findLast((place) => place < now);
    const moved = {...span, [which]: next ?? now};
    return moved.start < moved.end && this.slice(moved.start, moved.end).trim() ? moved : span;
  }
}

const colours = new Map();
export function colour(label) {
  if (!colours.has(label)) colours.set(label, `var(--c${colours.size % 8})`);
  return colours.get(label);
}

// Draw the passage. `spans`: [{start, end, label, kind}], kind "entity" (underlined, with its type), "focus", "same" or
// "cursor" (marked). Entities that overlap are underlined on lanes of their own.
export function draw(element, passage, spans) {
  const entities = spans.filter((one) => one.kind === "entity").sort((a, b) => a.start - b.start || b.end - a.end);
  const lanes = [];
  for (const one of entities) {
    one.lane = lanes.findIndex((end) => end <= one.start);
    if (one.lane < 0) one.lane = lanes.push(0) - 1;
    lanes[one.lane] = one.end;
  }
  const marks = spans.filter((one) => one.kind !== "entity");
  const edges = new Set([0, passage.chars.length]);
  for (const one of spans) { edges.add(one.start); edges.add(one.end); }
  for (const one of passage.syllables) { edges.add(one.start); edges.add(one.end); }
  const places = [...edges].sort((a, b) => a - b);
  const parts = document.createDocumentFragment();
  for (let i = 0; i + 1 < places.length; i++) {
    const [start, end] = [places[i], places[i + 1]];
    const part = document.createElement("span");
    part.className = "s";
    part.dataset.start = start;
    part.textContent = passage.slice(start, end);
    for (const one of marks) if (one.start <= start && end <= one.end) part.classList.add(one.kind);
    const over = entities.filter((one) => one.start <= start && end <= one.end);
    if (over.length) {
      const depth = Math.max(...over.map((one) => one.lane)) + 1;
      part.style.backgroundImage = over.map((one) => `linear-gradient(${colour(one.label)}, ${colour(one.label)})`).join(",");
      part.style.backgroundSize = over.map(() => "100% 2px").join(",");
      part.style.backgroundPosition = over.map((one) => `0 calc(100% - ${(depth - 1 - one.lane) * 4}px)`).join(",");
      part.style.paddingBottom = `${depth * 4}px`;
    }
    parts.append(part);
    for (const one of entities) if (one.end === end) {
      const tag = document.createElement("span");
      tag.className = "t";
      tag.textContent = one.label;
      tag.style.color = colour(one.label);
      parts.append(tag);
    }
  }
  element.replaceChildren(parts);
}

// What the mouse selected inside `element`, in code points, or null.
export function selected(element) {
  const selection = getSelection();
  if (!selection.rangeCount || selection.isCollapsed) return null;
  const place = (node, offset) => {
    if (node === element) {  // between two parts
      const next = element.childNodes[offset];
      return next?.dataset?.start === undefined ? null : Number(next.dataset.start);
    }
    const part = (node.nodeType === Node.TEXT_NODE ? node.parentElement : node).closest("[data-start]");
    if (!part || !element.contains(part)) return null;
    return Number(part.dataset.start) + Array.from(part.textContent.slice(0, node.nodeType === Node.TEXT_NODE ? offset : 0)).length;
  };
  const range = selection.getRangeAt(0);
  const [start, end] = [place(range.startContainer, range.startOffset), place(range.endContainer, range.endOffset)];
  return start === null || end === null || start === end ? null : {start: Math.min(start, end), end: Math.max(start, end)};
}
