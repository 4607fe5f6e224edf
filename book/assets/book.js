// This script comes when the text that a reader sees first has been drawn. What scrolls sideways can then be reached and
// scrolled with the keyboard. To measure a box a browser lays out the stretch that it stands in, so that is done while
// nothing else is to be done, some milliseconds at a time. Every copy button has its own name.
const SCROLLS = ".eq > .arithmatex, .figure, .panel :is(.wide, .tables, .sides, .votes), .md-typeset pre > code, .md-typeset__scrollwrap";
const PART = ".stretch, article";
// On a busy machine, too, it goes on five times a second.
const whenIdle = (task) => (globalThis.requestIdleCallback ? requestIdleCallback(task, { timeout: 200 }) : setTimeout(task, 50));
const parts = new Set();
const measure = () => {
  const start = performance.now();
  for (const part of parts) {
    parts.delete(part);
    const boxes = [...part.querySelectorAll(SCROLLS)].filter((box) => box.closest(PART) === part);
    const wide = boxes.map((box) => box.scrollWidth > box.clientWidth); // all before the first change: one layout
    boxes.forEach((box, n) => (wide[n] || box.role ? (box.tabIndex = 0) : box.removeAttribute("tabindex")));
    if (performance.now() - start > 5) break;
  }
  if (parts.size) whenIdle(measure);
};
const tend = (found) => {
  document.querySelectorAll("pre").forEach((pre, n) => pre.querySelector(".md-code__nav")?.setAttribute("aria-label", `Code ${n + 1}`));
  if (!parts.size) whenIdle(measure);
  for (const part of found) parts.add(part);
};
const tendAll = () => tend(document.querySelectorAll(PART));
const changes = new MutationObserver((found) => tend(found.map((one) => one.target.closest(PART))));
changes.observe(document.querySelector("article"), { childList: true, subtree: true });
addEventListener("resize", tendAll);
addEventListener("toggle", ({ target }) => tend(target.querySelectorAll(PART)), true); // a section that was folded
document.fonts.addEventListener("loadingdone", tendAll); // a box may be wider in another font
tendAll();

// Figures of one cell that belong together become a strip: one at a time, moved by keys, a finger, buttons or a slider.
const stepper = (strip) => {
  const bar = document.createElement("p");
  const [back, slider, next, count] = ["button", "input", "button", "output"].map((tag) => bar.appendChild(document.createElement(tag)));
  const last = strip.children.length;
  const now = () => 1 + Math.round(strip.scrollLeft / strip.clientWidth);
  const go = (to, behavior = "auto") => strip.scrollTo({ left: (to - 1) * strip.clientWidth, behavior });
  const show = (number) => {
    count.textContent = `${number} of ${last}`;
    slider.value = number;
    back.disabled = number === 1;
    next.disabled = number === last;
  };
  bar.className = "stepper";
  back.textContent = "‹ back";
  next.textContent = "next ›";
  back.onclick = () => go(now() - 1);
  next.onclick = () => go(now() + 1);
  Object.assign(slider, { type: "range", min: 1, max: last, ariaLabel: "figure" });
  slider.oninput = () => go(+slider.value, "instant");
  strip.onkeydown = (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by) event.preventDefault(), go(now() + by);
  };
  strip.onscroll = () => show(now());
  strip.classList.add("strip");
  strip.after(bar);
  show(1);
};
document.querySelectorAll(".steps").forEach(stepper);

// A symbol of a formula says what it is when a pointer, a finger or an arrow key comes to it: by the last table above
// that has a row for it.
const bare = (box) => box.textContent.replace(/[\s\u200b]/g, "");
const headed = (table) => table.rows[0].cells[0].textContent === "Symbol";
const tables = [...document.querySelectorAll("article table")].filter(headed);
const above = (box, other) => other.compareDocumentPosition(box) & Node.DOCUMENT_POSITION_PRECEDING;
const rowsAbove = (equation) => {
  const rows = {};
  for (const row of tables.filter((table) => above(table, equation)).flatMap((table) => [...table.tBodies[0].rows])) {
    const symbol = row.querySelector(".katex");
    if (symbol) rows[bare(symbol.querySelector(".katex-html") ?? symbol)] = row;
  }
  return rows;
};
const rowOf = (box, inside, rows) => {
  let found = null;
  for (; box !== inside; box = box.parentElement) {
    const names = [bare(box), bare(box) + (box.nextElementSibling ? bare(box.nextElementSibling) : "")];
    const name = names.reverse().find((one) => Object.hasOwn(rows, one));
    if (name) found = { box, row: rows[name] };  // the largest part that is a symbol: the whole of a derivative
  }
  return found;
};
const rowsOf = (equation) => (equation.rows ??= rowsAbove(equation));
// The symbols of a formula in the order in which one reads it.
const symbolsOf = (equation) => {
  const inside = equation.querySelector(".katex-html");
  const found = [...inside.querySelectorAll("b")].filter(bare).map((box) => rowOf(box, inside, rowsOf(equation))).filter(Boolean);
  const symbols = [...new Map(found.map((one) => [one.box, one])).values()];
  for (const one of symbols) one.place = one.box.getBoundingClientRect();
  symbols.sort(({ place: a }, { place: b }) => (a.bottom <= b.top || b.bottom <= a.top ? a.top - b.top : a.left - b.left));
  // A box in a box is the same symbol.
  return symbols.filter((one, n) => !n || one.row !== symbols[n - 1].row || one.place.left >= symbols[n - 1].place.right);
};

const about = document.createElement("div");
about.className = "about";
about.setAttribute("role", "tooltip");
const aloud = document.body.appendChild(document.createElement("div")); // for those who hear the page
aloud.className = "aloud";
aloud.setAttribute("role", "status");
let asked = null;
const hush = () => {
  asked?.classList.remove("asked");
  asked = null;
  about.remove();
  aloud.textContent = "";
};
const say = (found, equation) => {
  if (found && found.box === asked) return;
  hush();
  if (!found) return;
  asked = found.box;
  asked.classList.add("asked");
  about.innerHTML = [...found.row.cells].map((cell) => cell.innerHTML).join(" · ");
  equation.append(about);
};
const under = ({ clientX, clientY, pointerType }, inside, equation) => {
  // The boxes of a fraction lie over one another: not only the uppermost is meant.
  const boxes = document.elementsFromPoint(clientX, clientY).filter((box) => inside.contains(box));
  const found = boxes.map((box) => rowOf(box, inside, rowsOf(equation))).find(Boolean);
  if (found || pointerType !== "touch") return found;
  const far = ({ place }) => Math.hypot(clientX - (place.left + place.right) / 2, clientY - (place.top + place.bottom) / 2);
  return symbolsOf(equation).filter((one) => far(one) < 24).sort((one, other) => far(one) - far(other))[0]; // a finger is broad
};
const point = (event) => {
  if (about.contains(event.target)) return;
  const equation = event.target.closest?.(".eq");
  const inside = event.target.closest?.(event.pointerType === "touch" ? ".eq > .arithmatex" : ".katex-html");
  if (equation && inside) say(under(event, inside, equation), equation);
  else if (event.pointerType === "touch" || !asked?.closest(":focus")) hush();
};
const walk = (event) => {
  if (event.key === "Escape") return hush();
  const equation = event.target.matches?.(".eq > .arithmatex") && event.target.parentElement;
  if (!equation || !["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) return;
  const symbols = symbolsOf(equation);
  if (!symbols.length) return;
  event.preventDefault();
  const now = symbols.findIndex((one) => one.box === asked);
  const last = symbols.length - 1;
  const to = { Home: 0, End: last, ArrowRight: Math.min(now + 1, last), ArrowLeft: Math.max(now - 1, 0) }[event.key];
  say(symbols[to], equation);
  symbols[to].box.scrollIntoView({ block: "nearest", inline: "nearest" });
  aloud.textContent = [...symbols[to].row.cells].map((cell) => (cell.querySelector("math") ?? cell).textContent).join(", ");
};
for (const kind of ["pointermove", "pointerdown"]) addEventListener(kind, point);
addEventListener("keydown", walk);
addEventListener("focusout", (event) => event.target.contains(asked) && hush());
for (const formula of document.querySelectorAll(".eq > .arithmatex")) {
  if (!tables.length || !above(tables[0], formula)) continue; // no table speaks of its symbols
  formula.role = "group";
  formula.ariaLabel = "Formula: the arrow keys go through its symbols";
}
