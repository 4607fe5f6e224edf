// A box to tick beside each exercise. What is ticked stays in this browser's localStorage, and nowhere else.
const KEY = "backprop-core.exercises";
const ticked = () => {
  try {
    const names = JSON.parse(localStorage.getItem(KEY));
    return new Set(Array.isArray(names) ? names : []);
  } catch {
    return new Set();
  }
};
const keep = (names) => {
  try {
    localStorage.setItem(KEY, JSON.stringify([...names].sort()));
    return true;
  } catch {
    return false;
  }
};
const showTicks = () => {
  const names = ticked();
  for (const box of document.querySelectorAll(".task input")) box.checked = names.has(box.name);
  const marks = [...document.querySelectorAll("[data-tick]")];
  for (const mark of marks) mark.classList.toggle("ticked", names.has(mark.dataset.tick));
  for (const mark of marks) mark.title = names.has(mark.dataset.tick) ? "ticked" : "";
  for (const count of document.querySelectorAll("[data-ticked]")) {
    count.textContent = marks.filter((mark) => names.has(mark.dataset.tick)).length;
  }
};
if (keep(ticked())) { // otherwise nothing can be kept here, and nothing is offered
  document.querySelectorAll(".ticks").forEach((note) => (note.hidden = false));
  for (const task of document.querySelectorAll(".task")) {
    const label = task.appendChild(document.createElement("label"));
    const box = label.appendChild(document.createElement("input"));
    box.type = "checkbox";
    box.name = task.dataset.exercise;
    box.ariaLabel = `done: ${box.name}`; // else all boxes of a page are called alike
    label.append(" done");
    box.onchange = () => {
      const names = ticked();
      box.checked ? names.add(box.name) : names.delete(box.name);
      keep(names);
      showTicks(); // what is kept, even if the store is full
    };
  }
  showTicks();
}
addEventListener("storage", showTicks); // ticked in another tab
addEventListener("pageshow", showTicks); // or on a page from which a reader comes back
