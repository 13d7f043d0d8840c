// A school's own page: its details, and its admissions year by year, with what each says of the home in the address.

import { STATUSES, describe, element, facts, kilometres, pageOf } from "./list.js";
import * as service from "./service.js";
import * as address from "./state.js";
import { distance, everyone, known, short, words } from "./years.js";

const at = (id) => document.getElementById(id);
const urn = location.pathname.split("/").pop();

window.addEventListener("hashchange", show);
show();

async function show() {
  const state = address.read(location.hash);
  at("back").href = `/#${address.text(state)}`;
  try {
    const school = await service.details(urn);
    const { home, uncertainty, unplaced } = await place(state);
    const km = home && school.lat != null ? distance(home, [school.lat, school.lng]) : null;
    at("name").textContent = school.name;
    document.title = `${school.name} · School Finder`;
    at("failure").textContent = "";
    at("school").replaceChildren(
      element("p", { class: "facts" }, [STATUSES[school.status], ...facts(school)].filter(Boolean).join(" · ")),
      unplaced ? element("p", { class: "error" }, unplaced) : "",
      km == null ? "" : element("p", {}, `${kilometres(km)} from ${state.postcode ?? "your home"}.`),
      ...describe(school),
      element("h2", { id: "years" }, "Admissions, year by year"),
      years(school, km, uncertainty),
    );
  } catch (error) {
    fail(error, state);
  }
}

// The home of the address and how far off it may be, in kilometres; or why there is none. The school is shown all the
// same.
async function place(state) {
  const home = address.home(state);
  if (!state.postcode) return { home, uncertainty: 0 };
  try {
    const { uncertainty_m: metres } = await service.locate(state.postcode);
    return { home, uncertainty: metres / 1_000 };
  } catch ({ message }) {
    return { home: null, unplaced: `Your home in ${state.postcode} could not be placed: ${message}` };
  }
}

function years(school, km, uncertainty) {
  if (school.admissions.length === 0) return element("p", {}, "No year of its admissions is known.");
  const heads = ["Year", "Intake", "Places", "Applications", "Last offered at"];
  if (km != null) heads.push("From your home");
  const cell = (value) => element("td", {}, value == null || value === "" ? "not known" : String(value));
  const rows = school.admissions.map((year) => {
    const [fact] = known({ admissions: [year] }, km);
    const last = year.had_vacancies ? everyone(school.is_selective) : year.last_distance_offered_km;
    const row = element(
      "tr",
      {},
      element("th", { scope: "row" }, short(year.academic_year)),
      cell(year.intake),
      cell(year.places_offered),
      cell(year.applications_received),
      cell(typeof last === "number" ? kilometres(last) : last),
    );
    if (km != null) row.append(cell(fact && words(fact, school.is_selective, uncertainty)));
    return row;
  });
  const head = element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)));
  const table = element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
  table.setAttribute("aria-labelledby", "years");
  // A wide table scrolls by itself, also by keyboard.
  return element("div", { class: "scrolls", tabindex: "0", role: "region", "aria-labelledby": "years" }, table);
}

// Says what is wrong, and where the links of a school that is gone lead.
function fail(error, state) {
  at("name").textContent = error.status === 404 ? "No school" : "The school could not be loaded";
  at("failure").textContent = error.message;
  const links = (error.problem?.leads_to ?? []).map(({ urn, name }) =>
    element("li", {}, element("a", { href: pageOf(urn, state) }, name)),
  );
  at("school").replaceChildren(element("ul", {}, ...links));
}
