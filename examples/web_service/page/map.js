// The page: the search, its requests, and their results.

import { Chart } from "./chart.js";
import * as filters from "./filters.js";
import { item, nearMiss, pageOf, whole } from "./list.js";
import * as service from "./service.js";
import * as address from "./state.js";
import { suggest } from "./suggestions.js";
import { known, miss } from "./years.js";

const at = (id) => document.getElementById(id);
const form = at("filters");
const NONE = { serving: new Map(), reached: new Map(), years: new Map(), uncertainty: 0 };
// How many of the nearest schools are looked at for near misses, and the farthest and the most that are listed.
const MISSES = { among: 60, km: 2, most: 5 };

// What a page without a home and a name says to do.
const INVITATION =
  "Where do you live? Enter your postcode, click the map or press “My location”: the nearest are listed here. " +
  "Or find schools by their name, among the filters.";

let state = address.read(location.hash);
let shown = [];
let evidence = NONE;
let next = null;
let running = null;
// What the service says of the postcode of the home.
let located = null;

const chart = new Chart(at("map"), { onMove: move, onPick: open, onZoom: drawOutlines });
filters.build(form, (name, value) => {
  if (name) state[name] = value;
  else {
    const { view, lat, lng } = state;
    state = address.read(new URLSearchParams({ view, lat: lat ?? "", lng: lng ?? "" }).toString());
  }
  update();
});
// On a wide screen there is room for the filters.
at("filters-panel").open = matchMedia("(min-width: 75rem) and (min-height: 36rem)").matches;

at("place").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = at("coordinates").value.trim();
  let refused = "";
  try {
    const place = address.place(text);
    if (place) address.moveHome(state, ...place);
    else {
      located = await service.locate(text);
      address.moveHome(state, located.lat, located.lng, located.postcode);
    }
  } catch ({ status, message }) {
    if (status === 404) refused = `${message[0].toUpperCase()}${message.slice(1)}.`;
    else if (status === 400) {
      refused = "Write a postcode like MK9 3EP, or 52.0406, -0.7594: latitude first. Schools are listed below the box.";
    } else refused = message;
  }
  at("place-error").textContent = refused;
  at("coordinates").setAttribute("aria-invalid", String(refused !== ""));
  if (refused) return at("coordinates").focus();
  update({ fits: true });
});
suggest(at("coordinates"), at("suggestions"), {
  isWanted: (text) => text.length > 1 && !address.place(text),
  home: () => address.home(state),
  onPick: (school) => location.assign(pageOf(school.urn, state)),
});
at("locate").addEventListener("click", () => {
  at("place-error").textContent = "";
  const refused = () => {
    at("place-error").textContent = "Your browser does not say where you are: type your home, or click the map.";
  };
  if (!navigator.geolocation) return refused();
  navigator.geolocation.getCurrentPosition(({ coords }) => {
    address.moveHome(state, coords.latitude, coords.longitude);
    update({ fits: true });
  }, refused, { timeout: 10_000, maximumAge: 60_000 });
});
for (const view of document.querySelectorAll("input[name=view]")) {
  view.addEventListener("change", () => {
    state.view = view.value;
    update({ fits: true });
  });
}
at("again").addEventListener("click", () => update({ fits: true }));
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
  // The first home is somewhere in the country, and its schools round it.
  const fits = !address.home(state);
  address.moveHome(state, lat, lng);
  update({ fits });
}

// Asks everything anew. A question that a later one overtakes is dropped.
async function update({ fits = false } = {}) {
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  const home = address.home(state);
  // With neither a home nor a name any list would be arbitrary: the page invites to enter a home.
  const lists = Boolean(home || state.name);
  address.write(state);
  showAsked(home);
  at("results").setAttribute("aria-busy", "true");
  try {
    // A link has the postcode and its point, but not how far off that may be.
    if (state.postcode && located?.postcode !== state.postcode) located = await service.locate(state.postcode, signal);
    const uncertainty = state.postcode ? located.uncertainty_m / 1_000 : 0;
    const [page, counts, found] = await Promise.all([
      service.schools(state, null, signal, lists ? service.PAGE : service.MARKED),
      service.facets(state, filters.set(state), signal),
      home ? service.evidence(state, signal) : NONE,
    ]);
    const years = home ? await service.years(page.schools.map((school) => school.id), signal) : NONE.years;
    const missed = home && state.view === "reach" ? await nearMisses(found, uncertainty, signal) : [];
    shown = lists ? page.schools : [];
    evidence = { ...found, years, uncertainty };
    next = lists ? page.next : null;
    at("schools").replaceChildren(...shown.map((school, rank) => item(school, rank + 1, evidence, chart, state)));
    listMisses(missed);
    filters.count(form, state.view === "catchment" ? null : counts);
    say(counts[""].total, home, lists);
    at("failure").textContent = "";
    at("again").hidden = true;
    // Dots of a part would look as if there were no other schools.
    chart.overview(lists || page.next ? [] : places(page.schools));
    if (fits) chart.fit(home ? [...places(page.schools), home] : places(page.schools));
    await showOnMap(signal);
  } catch (error) {
    if (error.name === "AbortError") return;
    fail(error);
  }
  at("results").setAttribute("aria-busy", "false");
}

// The schools near the home that it misses by little, the least miss first.
async function nearMisses(found, uncertainty, signal) {
  const { schools } = await service.schools({ ...state, view: "nearest" }, null, signal, MISSES.among);
  const others = schools.filter((school) => school.distance_km != null && !found.reached.has(school.id));
  const past = await service.years(others.map((school) => school.id), signal);
  return others
    .map((school) => {
      const years = past.has(school.id) ? known(past.get(school.id), school.distance_km) : [];
      return { school, km: miss(years), year: years[0]?.academic_year };
    })
    .filter(({ km }) => km != null && km <= MISSES.km && km >= uncertainty)
    .sort((one, other) => one.km - other.km)
    .slice(0, MISSES.most);
}

function listMisses(missed) {
  at("misses").hidden = missed.length === 0;
  at("misses").querySelector("ol").replaceChildren(...missed.map((one) => nearMiss(one, state)));
}

// Adds the next page to the list.
async function more() {
  // Clicked twice, it would list the same schools twice.
  at("more").disabled = true;
  try {
    const page = await service.schools(state, next, running.signal);
    if (address.home(state)) {
      const years = await service.years(page.schools.map((school) => school.id), running.signal);
      years.forEach((school, id) => evidence.years.set(id, school));
    }
    const first = shown.length;
    shown = [...shown, ...page.schools];
    next = page.next;
    const items = page.schools.map((school, rank) => item(school, first + rank + 1, evidence, chart, state));
    at("schools").append(...items);
    items[0]?.querySelector("button").focus();
    at("status").textContent = `${shown.length} schools are listed.`;
    await showOnMap(running.signal);
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
  if (home && document.activeElement !== at("coordinates")) at("coordinates").value = state.postcode ?? home.join(", ");
  if (home) at("place-error").textContent = "";
  chart.place(home);
  chart.within(home, Number(state.within));
}

async function showOnMap(signal) {
  at("more").hidden = !next;
  chart.schools(shown, evidence);
  await drawOutlines(signal);
}

function places(schools) {
  return schools.filter(({ lat }) => lat != null).map(({ lat, lng }) => [lat, lng]);
}

// Draws the catchments with the details that the map's zoom shows.
async function drawOutlines(signal = running.signal) {
  const ids = new Set([...evidence.serving.keys(), ...shown.map((school) => school.id)]);
  try {
    chart.outlines(await service.outlines([...ids], chart.zoom(), signal), evidence);
  } catch (error) {
    if (error.name !== "AbortError") fail(error);
  }
}

// What was found, for those who read it and those who hear it.
function say(total, home, lists) {
  const schools = (count) => (count === 1 ? "1 school" : `${whole(count)} schools`);
  at("status").classList.toggle("invites", !lists);
  if (!lists) {
    at("status").textContent = `${schools(total)}. ${INVITATION}`;
    return;
  }
  const sentences = {
    nearest: () =>
      home
        ? `${schools(total)}, the nearest first.`
        : `${schools(total)}, by name. Say where you live to see how far they are.`,
    catchment: () => `${schools(evidence.serving.size)} with a catchment that holds your home.`,
    reach: () => `${schools(evidence.reached.size)} whose offers reached your home in the latest year known.`,
  };
  const marks =
    home && state.view === "nearest"
      ? ` Catchments that hold your home: ${evidence.serving.size}. Offers that reached it: ${evidence.reached.size}.`
      : "";
  at("status").textContent = sentences[state.view]() + marks + from();
}

// Where distances begin, if a postcode says where the home is.
function from() {
  if (!state.postcode) return "";
  const { postcode, source, uncertainty_m: metres } = located;
  const places = {
    postcode: "the centre of",
    terminated_postcode: "the last centre of",
    withdrawn_postcode: "the last centre of",
    sector: "the middle of",
    outcode: "the middle of",
    school: "the schools in",
  };
  const far = metres < 1_000 ? `${metres} m` : `${(metres / 1_000).toFixed(1)} km`;
  return ` Distances are from ${places[source]} ${postcode}, up to ${far} from your home.`;
}

// No answer of before stands beside the question that failed.
function fail(error) {
  shown = [];
  evidence = NONE;
  next = null;
  at("schools").replaceChildren();
  at("more").hidden = true;
  listMisses([]);
  filters.count(form, null);
  chart.schools(shown, evidence);
  chart.overview([]);
  chart.outlines({ type: "FeatureCollection", features: [] }, evidence);
  at("status").textContent = "";
  at("status").classList.remove("invites");
  at("failure").textContent = error.message;
  at("again").hidden = false;
}

// A school of the map was clicked: the list opens it.
function open(school) {
  const name = at("schools").querySelector(`[data-urn="${school.urn}"] button`);
  if (!name) return;
  if (name.getAttribute("aria-expanded") === "false") name.click();
  name.focus();
  name.scrollIntoView({ block: "nearest" });
}
