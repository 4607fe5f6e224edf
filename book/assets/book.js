// What scrolls sideways can be reached and scrolled with the keyboard; every copy button has its own name.
const tend = () => {
  document.querySelectorAll(".md-code__nav").forEach((nav, n) => nav.setAttribute("aria-label", `Code ${n + 1}`));
  for (const box of document.querySelectorAll(".eq > .arithmatex, .figure, .md-typeset pre > code, .md-typeset__scrollwrap")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
};
addEventListener("load", tend);
addEventListener("resize", tend);
