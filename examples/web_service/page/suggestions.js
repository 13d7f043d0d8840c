// Schools that are suggested below a text box: a combobox with a list, as WAI-ARIA describes it.

import { element, kilometres } from "./list.js";
import * as service from "./service.js";

// Suggests schools for what is typed into `box`, and calls `onPick` with the chosen one. `isWanted` tells which texts
// may mean a school, and `home` returns the home, if it is known.
export function suggest(box, list, { isWanted, home, onPick }) {
  let schools = [];
  let active = -1;
  let typing;
  let running;

  const close = () => {
    clearTimeout(typing);
    running?.abort();
    show([]);
  };

  function show(found) {
    schools = found;
    list.replaceChildren(...found.map(option));
    list.hidden = found.length === 0;
    box.setAttribute("aria-expanded", String(found.length > 0));
    mark(-1);
  }

  function option({ name, town, council, distance_km: km }, at) {
    const where = [town, council, km != null && kilometres(km)].filter(Boolean).join(", ");
    const made = element(
      "li",
      { id: `suggestion-${at}`, role: "option", "aria-selected": "false" },
      element("span", {}, name),
      element("span", { class: "hint" }, ` ${where}`),
    );
    // Before the box loses the focus, which closes the list.
    made.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      onPick(schools[at]);
    });
    return made;
  }

  function mark(at) {
    active = at;
    [...list.children].forEach((item, of) => item.setAttribute("aria-selected", String(of === at)));
    if (at < 0) box.removeAttribute("aria-activedescendant");
    else box.setAttribute("aria-activedescendant", `suggestion-${at}`);
  }

  async function ask() {
    running?.abort();
    running = new AbortController();
    const { signal } = running;
    try {
      show(await service.suggest(box.value.trim(), home(), signal));
    } catch (error) {
      // The form says what is wrong once it is sent.
      if (error.name !== "AbortError") show([]);
    }
  }

  box.addEventListener("input", () => {
    clearTimeout(typing);
    if (isWanted(box.value.trim())) typing = setTimeout(ask, 150);
    else close();
  });
  box.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") close();
    else if (step && schools.length > 0) {
      mark((active + step + schools.length + (active < 0 && step < 0)) % schools.length);
    } else if (event.key === "Enter" && active >= 0) onPick(schools[active]);
    else return;
    event.preventDefault();
  });
  box.addEventListener("blur", close);
  box.form.addEventListener("submit", close);
}
