// The filters, each option with the number of schools that it would leave.

import { PHASES, element, whole } from "./list.js";

const sum = (counts, keys) => keys.reduce((total, key) => total + (counts[key] ?? 0), 0);
const all = (facets) => facets.total;

// Each filter: its parameter, its legend, its options with how each is counted, and how the schools are counted of
// which the value is not known.
const GROUPS = [
  {
    name: "phase",
    legend: "Phase",
    kind: "checkbox",
    options: Object.entries(PHASES).map(([word, label]) => [word, label, (facets) => sum(facets.phase, [word])]),
    unknown: (facets) => sum(facets.phase, ["unknown"]),
  },
  {
    name: "ownership",
    legend: "Run by",
    kind: "radio",
    options: [
      ["", "Anyone", all],
      ["state", "The state", (facets) => sum(facets.ownership, ["state"])],
      ["private", "Privately", (facets) => sum(facets.ownership, ["private"])],
    ],
    unknown: (facets) => sum(facets.ownership, ["unknown"]),
  },
  {
    name: "max-rating",
    legend: "Ofsted rating",
    kind: "radio",
    options: [
      ["", "Any or none", all],
      ["1", "Outstanding", (facets) => sum(facets.rating, ["1"])],
      ["2", "Good or better", (facets) => sum(facets.rating, ["1", "2"])],
      ["3", "Requires improvement or better", (facets) => sum(facets.rating, ["1", "2", "3"])],
    ],
    unknown: (facets) => sum(facets.rating, ["unknown"]),
  },
  {
    name: "gender",
    legend: "Open to",
    kind: "radio",
    options: [
      ["", "Anyone", all],
      ["girls", "Girls", (facets) => sum(facets.gender, ["girls", "mixed"])],
      ["boys", "Boys", (facets) => sum(facets.gender, ["boys", "mixed"])],
      ["mixed", "Mixed schools alone", (facets) => sum(facets.gender, ["mixed"])],
    ],
    unknown: (facets) => sum(facets.gender, ["unknown"]),
  },
  {
    name: "has-club",
    legend: "Clubs",
    kind: "checkbox",
    // Two clubs narrow the search together, so what is chosen already counts.
    narrows: true,
    options: [
      ["breakfast", "Breakfast club", (facets) => sum(facets.clubs, ["breakfast"])],
      ["after_school", "After-school club", (facets) => sum(facets.clubs, ["after_school"])],
    ],
  },
];

const DISTANCES = ["0.5", "1", "2", "3", "5", "10", "25"];
const AGES = Array.from({ length: 17 }, (_, years) => String(years + 2));

// Fills the form, and calls `onChange` with a parameter and its value when a reader changes one.
export function build(form, onChange) {
  const within = element("select", { id: "within", name: "within" }, element("option", { value: "" }, "Any distance"));
  within.append(...DISTANCES.map((km) => element("option", { value: km }, `${km} km`)));
  const age = element("select", { id: "age", name: "age" }, element("option", { value: "" }, "Any age"));
  age.append(...AGES.map((years) => element("option", { value: years }, `${years} years`)));
  const name = element("input", { id: "name", name: "name", type: "search", autocomplete: "off", maxlength: "200" });
  form.append(
    element("div", { class: "field" }, element("label", { for: "within" }, "Within"), within),
    element("div", { class: "field" }, element("label", { for: "age" }, "Teaches a child of"), age),
    element("div", { class: "field" }, element("label", { for: "name" }, "Name contains"), name),
    ...GROUPS.map(group),
    element("button", { type: "reset" }, "Clear filters"),
  );
  within.addEventListener("change", () => onChange("within", within.value));
  age.addEventListener("change", () => onChange("age", age.value));
  let typing;
  name.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => onChange("name", name.value.trim()), 250);
  });
  for (const { name, kind } of GROUPS) {
    const inputs = [...form.elements[name]];
    const chosen = () => inputs.filter((input) => input.checked).map((input) => input.value);
    const value = () => (kind === "checkbox" ? chosen() : chosen()[0]);
    inputs.forEach((input) => input.addEventListener("change", () => onChange(name, value())));
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    clearTimeout(typing);
    onChange(null);
  });
}

function group({ name, legend, kind, options, unknown }) {
  const choices = options.map(([value, label]) =>
    element(
      "label",
      { class: "choice" },
      element("input", { type: kind, name, value }),
      element("span", {}, label),
      element("span", { class: "count", "data-count": `${name}:${value}` }),
    ),
  );
  const rest =
    unknown &&
    element(
      "p",
      { class: "choice unknown", hidden: true },
      element("span", {}, "Not known"),
      element("span", { class: "count", "data-count": `${name}:unknown` }),
    );
  return element("fieldset", {}, element("legend", {}, legend), ...choices, rest);
}

// Sets the form to a state.
export function show(form, state) {
  form.elements.within.value = state.within ?? "";
  form.elements.within.disabled = !state.lat;
  form.elements.age.value = state.age ?? "";
  if (document.activeElement !== form.elements.name) form.elements.name.value = state.name ?? "";
  for (const { name, kind } of GROUPS) {
    const chosen = kind === "checkbox" ? state[name] : [state[name] ?? ""];
    for (const input of form.elements[name]) input.checked = chosen.includes(input.value);
  }
}

// The filters that are set, of which other values are worth a count.
export function set(state) {
  return GROUPS.filter(({ name, narrows }) => !narrows && state[name]?.length > 0).map(({ name }) => name);
}

// Puts the counts beside the options; nothing where they are not known.
export function count(form, counts) {
  for (const { name, options, unknown } of GROUPS) {
    const facets = counts?.[name] ?? counts?.[""];
    if (unknown) {
      const place = form.querySelector(`[data-count="${name}:unknown"]`);
      place.textContent = facets ? whole(unknown(facets)) : "";
      place.parentElement.hidden = !facets || unknown(facets) === 0;
    }
    for (const [value, , of] of options) {
      const place = form.querySelector(`[data-count="${name}:${value}"]`);
      place.textContent = facets ? whole(of(facets)) : "";
      place.parentElement.classList.toggle("none", facets !== undefined && of(facets) === 0);
    }
  }
}
