// The page: the search, its requests, and their results.

import { Chart } from "./chart.js";
import * as filters from "./filters.js";
import { item, whole } from "./list.js";
import * as service from "./service.js";
import * as address from "./state.js";

const at = (id) => document.getElementById(id);
const form = at("filters");
const NONE = { serving: new Map(), reached: new Map() };

let state = address.read(location.hash);
let shown = [];
let evidence = NONE;
let next = null;
let running = null;

const chart = new Chart(at("map"), { onMove: move, onPick: open });
filters.build(form, (name, value) => {
  if (name) state[name] = value;
  else state = address.read(new URLSearchParams({ view: state.view, lat: state.lat ?? "", lng: state.lng ?? "" }).toString());
  update();
});
// On a wide screen there is room for the filters.
at("filters-panel").open = matchMedia("(min-width: 75rem) and (min-height: 36rem)").matches;

at("place").addEventListener("submit", (event) => {
  event.preventDefault();
  const place = address.place(at("coordinates").value);
  at("place-error").textContent = place ? "" : "Write it like 52.0406, -0.7594: latitude first.";
  at("coordinates").toggleAttribute("aria-invalid", !place);
  if (!place) return at("coordinates").focus();
  address.moveHome(state, ...place);
  update({ fits: true });
});
for (const view of document.querySelectorAll("input[name=view]")) {
  view.addEventListener("change", () => {
    state.view = view.value;
    update();
  });
}
at("more").addEventListener("click", more);
// The address after the `#` holds the search, so this link moves the focus without it.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  at("results-heading").focus();
});
window.addEventListener("hashchange", () => {
  state = address.read(location.hash);
  update({ fits: true });
});
update({ fits: true });

function move(lat, lng) {
  address.moveHome(state, lat, lng);
  update();
}

// Asks everything anew. A question that a later one overtakes is dropped.
async function update({ fits = false } = {}) {
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  const home = address.home(state);
  address.write(state);
  showAsked(home);
  try {
    const [page, counts, found] = await Promise.all([
      service.schools(state, null, signal),
      service.facets(state, filters.set(state), signal),
      home ? service.evidence(state, signal) : NONE,
    ]);
    shown = page.schools;
    evidence = found;
    next = page.next;
    at("schools").replaceChildren(...shown.map((school, rank) => item(school, rank + 1, evidence, chart)));
    filters.count(form, state.view === "catchment" ? null : counts);
    say(counts[""].total, home);
    at("failure").textContent = "";
    await showOnMap(home, fits, signal);
  } catch (error) {
    if (error.name !== "AbortError") fail(error);
  }
}

// Adds the next page to the list.
async function more() {
  // Clicked twice, it would list the same schools twice.
  at("more").disabled = true;
  try {
    const page = await service.schools(state, next, running.signal);
    const first = shown.length;
    shown = [...shown, ...page.schools];
    next = page.next;
    const items = page.schools.map((school, rank) => item(school, first + rank + 1, evidence, chart));
    at("schools").append(...items);
    items[0]?.querySelector("button").focus();
    at("status").textContent = `${shown.length} schools are listed.`;
    await showOnMap(address.home(state), false, running.signal);
  } catch (error) {
    if (error.name !== "AbortError") fail(error);
  } finally {
    at("more").disabled = false;
  }
}

function showAsked(home) {
  filters.show(form, state);
  const active = address.active(state);
  at("filters-active").textContent = active > 0 ? `(${active} set)` : "";
  for (const view of document.querySelectorAll("input[name=view]")) {
    view.checked = view.value === state.view;
    view.disabled = !home && view.value !== "nearest";
  }
  if (home && document.activeElement !== at("coordinates")) at("coordinates").value = home.join(", ");
  if (home) at("place-error").textContent = "";
  chart.place(home);
  chart.within(home, Number(state.within));
}

async function showOnMap(home, fits, signal) {
  at("more").hidden = !next;
  chart.schools(shown, evidence);
  if (fits) {
    const places = shown.filter((school) => school.lat != null).map((school) => [school.lat, school.lng]);
    chart.fit(home ? [...places, home] : places);
  }
  const ids = new Set([...evidence.serving.keys(), ...shown.map((school) => school.id)]);
  chart.outlines(await service.outlines([...ids], signal), evidence);
}

// What was found, for those who read it and those who hear it.
function say(total, home) {
  const schools = (count) => (count === 1 ? "1 school" : `${whole(count)} schools`);
  const sentences = {
    nearest: () => (home ? `${schools(total)}, the nearest first.` : `${schools(total)}, by name. Say where you live to see how far they are.`),
    catchment: () => `${schools(evidence.serving.size)} with a catchment that holds your home.`,
    reach: () => `${schools(evidence.reached.size)} whose offers reached your home in the latest year known.`,
  };
  const marks =
    home && state.view === "nearest"
      ? ` Catchments that hold your home: ${evidence.serving.size}. Offers that reached it: ${evidence.reached.size}.`
      : "";
  at("status").textContent = sentences[state.view]() + marks;
}

function fail(error) {
  at("status").textContent = "";
  at("failure").textContent = error instanceof TypeError ? "The service cannot be reached." : error.message;
}

// A school of the map was clicked: the list opens it.
function open(school) {
  const name = at("schools").querySelector(`[data-urn="${school.urn}"] button`);
  if (!name) return;
  if (name.getAttribute("aria-expanded") === "false") name.click();
  name.focus();
  name.scrollIntoView({ block: "nearest" });
}
