// What scrolls sideways can be reached and scrolled with the keyboard.
const focusable = () => {
  for (const box of document.querySelectorAll(".eq > .arithmatex, .figure, .md-typeset pre > code, .md-typeset table:not([class])")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
};
addEventListener("load", focusable);
addEventListener("resize", focusable);
