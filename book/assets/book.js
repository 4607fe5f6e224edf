// What scrolls sideways can be reached and scrolled with the keyboard; every copy button has its own name.
const tend = () => {
  document.querySelectorAll(".md-code__nav").forEach((nav, n) => nav.setAttribute("aria-label", `Code ${n + 1}`));
  for (const box of document.querySelectorAll(".eq > .arithmatex, .figure, .panel :is(.wide, .tables, .sides, .votes), .md-typeset pre > code, .md-typeset__scrollwrap")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
};
addEventListener("load", tend);
addEventListener("resize", tend);
document.fonts.ready.then(tend);

// Figures of one cell that belong together become a strip: one at a time, moved by keys, a finger or two buttons.
const stepper = (strip) => {
  const bar = document.createElement("p");
  const [back, count, next] = ["button", "output", "button"].map((tag) => bar.appendChild(document.createElement(tag)));
  const last = strip.children.length;
  const move = (by) => strip.scrollBy({ left: by * strip.clientWidth });
  const show = () => {
    const now = 1 + Math.round(strip.scrollLeft / strip.clientWidth);
    count.textContent = `${now} of ${last}`;
    back.disabled = now === 1;
    next.disabled = now === last;
  };
  bar.className = "stepper";
  back.textContent = "‹ back";
  next.textContent = "next ›";
  back.onclick = () => move(-1);
  next.onclick = () => move(1);
  strip.onkeydown = (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by) event.preventDefault(), move(by);
  };
  strip.onscroll = show;
  strip.classList.add("strip");
  strip.after(bar);
  show();
};
addEventListener("load", () => document.querySelectorAll(".steps").forEach(stepper));
