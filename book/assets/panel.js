// What opens at an equation: fetched when it is opened first; its numbers can be changed.
"use strict";

// ---- the equations, as scripts/equations/lower.py writes them ----

const FUNCTIONS = {
  "+": (a, b) => a + b, "-": (a, b) => a - b, "*": (a, b) => a * b, "/": (a, b) => a / b, "^": Math.pow,
  "=": (a, b) => +(a === b), "!=": (a, b) => +(a !== b), "<": (a, b) => +(a < b), "<=": (a, b) => +(a <= b),
  ">": (a, b) => +(a > b), ">=": (a, b) => +(a >= b), and: (a, b) => +(a && b), neg: (a) => -a,
  exp: Math.exp, log: Math.log, sin: Math.sin, cos: Math.cos, tan: Math.tan, tanh: Math.tanh, sinh: Math.sinh,
  cosh: Math.cosh, sqrt: Math.sqrt, abs: Math.abs, sign: Math.sign, max: Math.max, min: Math.min,
};
const FOLDS = {
  sum: [0, (a, b) => a + b], prod: [1, (a, b) => a * b], max: [-Infinity, Math.max], min: [Infinity, Math.min],
};

// The number that an expression is. Tables are [first, shape, values, zero outside].
const run = (expression, tables, indices) => {
  if (typeof expression === "number") return expression;
  if (typeof expression === "string") return indices[expression];
  const [kind, ...parts] = expression;
  const value = (part) => run(part, tables, indices);
  if (kind === "x") return lookup(tables[parts[0]], parts.slice(1).map(value));
  if (kind === "call") return lookup(tables[parts[1]], parts[2].map(value));
  if (kind in FOLDS && parts.length === 5) {
    const [name, low, high, condition, body] = parts;
    let [total, fold] = FOLDS[kind];
    for (let at = Math.round(value(low)), end = Math.round(value(high)); at <= end; at++) {
      const inner = { ...indices, [name]: at };
      if (condition === null || run(condition, tables, inner)) total = fold(total, run(body, tables, inner));
    }
    return total;
  }
  if (kind === "cases") {
    for (let row = 0; row < parts.length; row += 2) {
      if (parts[row] === null || value(parts[row])) return value(parts[row + 1]);
    }
    return NaN;
  }
  if (!(kind in FUNCTIONS)) throw new Error(`${kind} is not known here`);
  return FUNCTIONS[kind](...parts.map(value));
};

const lookup = ([first, shape, values, zero], place) => {
  let offset = 0;
  for (let axis = 0; axis < shape.length; axis++) {
    const at = Math.round(place[axis]) - first[axis];
    if (!(at >= 0 && at < shape[axis])) return zero ? 0 : NaN;
    offset = offset * shape[axis] + at;
  }
  return values[offset];
};

// All entries of a side, in the order of its axes.
const sideValues = (side, { t: tables, a: axes }) => {
  let places = [{}];
  for (const [name, low, high] of axes) {
    const steps = Array.from({ length: high - low + 1 }, (_, n) => low + n);
    places = places.flatMap((place) => steps.map((at) => ({ ...place, [name]: at })));
  }
  return places.map((place) => run(side, tables, place));
};

// Which tables a side reads.
const reads = (expression, found = new Set()) => {
  if (!Array.isArray(expression)) return found;
  if (expression[0] === "x") found.add(expression[1]);
  if (expression[0] === "call") found.add(expression[2]);
  const parts = expression[0] === "call" ? [...expression[3], ...expression.slice(4)] : expression.slice(1);
  for (const part of parts) reads(part, found);
  return found;
};

const shown = (value) => {
  if (Math.abs(value) < 1e-12) return "0";
  const short = Math.abs(value - Math.round(value)) < 1e-9 ? String(Math.round(value)) : String(+value.toPrecision(4));
  return short.replace(/-/g, "−");
};

// ---- the page ----

const editable = (box) => {
  const data = JSON.parse(box.dataset.eq);
  const cells = (table) => [...table.querySelectorAll("td")];
  const note = document.createElement("p");
  note.className = "note";
  note.setAttribute("role", "status");
  note.textContent = "Change a number.";
  const sides = [...box.querySelectorAll("[data-s]")];
  const fixed = data.k.map((kind, n) => (kind === "given" ? -1 : n));
  const again = () => {
    const stale = new Set();
    data.s.forEach((side, number) => {
      const used = [...reads(side)];
      const follows = used.some((n) => fixed[n] >= 0 && data.f[n].some((source) => changed.has(source)));
      if (follows) stale.add(number);
      const values = follows ? null : sideValues(side, data);
      for (const table of sides.filter((one) => +one.dataset.s === number)) {
        const text = (n) => (follows ? "…" : shown(values[n + +(table.dataset.from ?? 0)]));
        cells(table).forEach((cell, n) => (cell.textContent = text(n)));
      }
    });
    const rest = data.s.filter((_, number) => !stale.has(number)).map((side) => sideValues(side, data));
    const apart = rest.slice(1).some((side) => side.some((v, n) => Math.abs(v - rest[0][n]) > 1e-6 * (1 + Math.abs(v))));
    note.textContent = [
      rest.length ? "Worked out anew." : "",
      stale.size ? "At … only the module could work it out, and it is not on this page." : "",
      rest.length > 1 ? (apart ? "The sides differ." : "The sides agree.") : "",
    ].filter(Boolean).join(" ");
    box.classList.add("changed");
  };
  const changed = new Set();
  for (const table of box.querySelectorAll('[data-t][data-kind="given"]')) {
    const number = +table.dataset.t;
    const from = +(table.dataset.from ?? 0);
    cells(table).forEach((cell, n) => {
      const input = document.createElement("input");
      input.value = cell.textContent.replace("−", "-");
      input.inputMode = "decimal";
      const entry = data.t[number][2].length > 1 ? `entry ${from + n + 1} of ` : "";
      input.setAttribute("aria-label", entry + table.dataset.name);
      input.oninput = () => {
        const value = input.value.trim() ? Number(input.value.replace("−", "-").replace(",", ".")) : NaN;
        input.setAttribute("aria-invalid", String(!Number.isFinite(value)));
        if (!Number.isFinite(value)) return (note.textContent = `${input.value.trim() || "Nothing"} is no number.`);
        data.t[number][2][from + n] = value;
        changed.add(number);
        again();
      };
      cell.replaceChildren(input);
    });
  }
  if (box.querySelector("input")) box.querySelector(".tables").after(note);
};

if (typeof document !== "undefined") {
  let asked = null;
  const waiting = [];
  globalThis.panels = (found) => {
    for (const fold of waiting.splice(0)) show(fold, found);
    globalThis.panels.found = found;
  };
  const show = (fold, found) => {
    const box = document.createElement("div");
    box.className = "panel";
    box.innerHTML = found[fold.dataset.panel];
    fold.querySelector("summary").nextElementSibling.replaceWith(box);
    box.querySelectorAll(".worked").forEach(editable);
  };
  const open = (fold) => {
    if (!fold.open || fold.querySelector(".panel")) return;
    if (globalThis.panels.found) return show(fold, globalThis.panels.found);
    waiting.push(fold);
    if (asked) return;
    asked = document.createElement("script");
    const page = location.pathname.split("/").pop().replace(/\.html$/, "");
    asked.src = new URL(`panels/${page}.js`, here).href;
    asked.onerror = () => (asked = null); // the link in the fold still leads to the page
    document.head.append(asked);
  };
  const here = document.currentScript.src;
  for (const fold of document.querySelectorAll("details.opens")) {
    fold.addEventListener("toggle", () => open(fold));
    open(fold); // a reader may have been faster than the script
  }
  document.querySelectorAll(".panel .worked").forEach(editable);
} else {
  globalThis.equation = { run, sideValues, reads };
}
