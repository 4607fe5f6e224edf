// What scrolls sideways can be reached and scrolled with the keyboard; every copy button has its own name.
const tend = () => {
  document.querySelectorAll(".md-code__nav").forEach((nav, n) => nav.setAttribute("aria-label", `Code ${n + 1}`));
  const boxes = [...document.querySelectorAll(".eq > .arithmatex, .figure, .panel :is(.wide, .tables, .sides, .votes), .md-typeset pre > code, .md-typeset__scrollwrap")];
  const wide = boxes.map((box) => box.scrollWidth > box.clientWidth); // all before the first change: one layout
  boxes.forEach((box, n) => (wide[n] ? (box.tabIndex = 0) : box.removeAttribute("tabindex")));
};
addEventListener("load", tend);
addEventListener("resize", tend);
document.fonts.ready.then(tend);

// Figures of one cell that belong together become a strip: one at a time, moved by keys, a finger, buttons or a slider.
const stepper = (strip) => {
  const bar = document.createElement("p");
  const [back, slider, next, count] = ["button", "input", "button", "output"].map((tag) => bar.appendChild(document.createElement(tag)));
  const last = strip.children.length;
  const now = () => 1 + Math.round(strip.scrollLeft / strip.clientWidth);
  const go = (to, behavior = "auto") => strip.scrollTo({ left: (to - 1) * strip.clientWidth, behavior });
  const show = () => {
    count.textContent = `${now()} of ${last}`;
    slider.value = now();
    back.disabled = now() === 1;
    next.disabled = now() === last;
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
  strip.onscroll = show;
  strip.classList.add("strip");
  strip.after(bar);
  show();
};
addEventListener("load", () => document.querySelectorAll(".steps").forEach(stepper));

// A symbol of a formula says what it is when a pointer comes to it: by the last table above that has a row for it.
const bare = (box) => box.textContent.replace(/[\s\u200b]/g, "");
const rowsAbove = (equation) => {
  const rows = {};
  for (const row of document.querySelectorAll("article tbody tr")) {
    if (row.compareDocumentPosition(equation) & Node.DOCUMENT_POSITION_PRECEDING) break;
    const symbol = row.closest("table").rows[0].cells[0].textContent === "Symbol" && row.querySelector(".katex");
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
const about = document.createElement("div");
about.className = "about";
about.setAttribute("role", "tooltip");
let asked = null;
const hush = () => {
  asked?.classList.remove("asked");
  asked = null;
  about.remove();
};
const tell = ({ target, clientX, clientY }) => {
  if (about.contains(target)) return;
  const inside = target.closest?.(".eq .katex-html");
  if (!inside) return hush();
  const equation = inside.closest(".eq");
  equation.rows ??= rowsAbove(equation);
  // The boxes of a fraction lie over one another: not only the uppermost is meant.
  const under = document.elementsFromPoint(clientX, clientY).filter((box) => inside.contains(box));
  const found = under.map((box) => rowOf(box, inside, equation.rows)).find(Boolean);
  if (found && found.box === asked) return;
  hush();
  if (!found) return;
  asked = found.box;
  asked.classList.add("asked");
  about.innerHTML = [...found.row.cells].map((cell) => cell.innerHTML).join(" · ");
  equation.append(about);
};
for (const kind of ["pointermove", "pointerdown"]) addEventListener(kind, tell);
addEventListener("keydown", (event) => event.key === "Escape" && hush());
