// The list of schools: all that the map shows, in words.

import * as address from "./state.js";
import { everyone, known, short, words } from "./years.js";
import * as service from "./service.js";

export const PHASES = {
  nursery: "Nursery",
  primary: "Primary",
  middle_primary: "Middle (primary)",
  middle_secondary: "Middle (secondary)",
  secondary: "Secondary",
  all_through: "All-through",
  "16_plus": "16 plus",
  not_applicable: "No phase",
};
export const RATINGS = { 1: "Outstanding", 2: "Good", 3: "Requires improvement", 4: "Inadequate" };
export const GENDERS = { boys: "Boys", girls: "Girls" };
export const STATUSES = {
  proposed_to_close: "Proposed to close",
  proposed_to_open: "Proposed to open",
  closed: "Closed",
};

// An element with attributes and children; text is never read as markup.
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child != null && child !== false));
  return made;
}

export const kilometres = (km) => `${km.toFixed(km < 10 ? 2 : 1)} km`;

export const whole = (count) => count.toLocaleString("en-GB");

// The address of a school's own page, which keeps the search.
export const pageOf = (urn, state) => `/schools/${urn}#${address.text(state)}`;

// A school as an item of the list. The map marks the one that is looked at.
export function item(school, rank, evidence, chart, state) {
  const id = `details-${school.urn}`;
  const more = element("div", { id, class: "details", hidden: true });
  const name = element("button", { type: "button", "aria-expanded": "false", "aria-controls": id }, school.name);
  name.addEventListener("click", () => {
    const opens = more.hidden;
    more.hidden = !opens;
    name.setAttribute("aria-expanded", String(opens));
    if (opens) {
      chart.show(school.urn);
      fill(more, school.urn, state);
    }
  });
  const serves = evidence.serving.get(school.id);
  const reached = evidence.reached.get(school.id);
  const past = evidence.years.get(school.id);
  const years = reached?.years ?? (past && school.distance_km != null ? known(past, school.distance_km) : []);
  const isSelective = reached?.is_selective ?? past?.is_selective;
  const classes = ["school", serves && "serves", reached && "reached"].filter(Boolean).join(" ");
  const made = element(
    "li",
    { class: classes, "data-urn": school.urn },
    element("span", { class: "rank", "aria-hidden": "true" }, String(rank)),
    element(
      "div",
      { class: "body" },
      element("h3", {}, name),
      element("p", { class: "facts" }, facts(school).join(" · ")),
      badges(school, serves, years, isSelective, evidence.uncertainty),
      more,
    ),
    element("span", { class: "distance" }, school.distance_km == null ? "" : kilometres(school.distance_km)),
  );
  made.addEventListener("pointerenter", () => chart.mark(school.urn));
  made.addEventListener("focusin", () => chart.mark(school.urn));
  return made;
}

export function facts(school) {
  const { age_range_from: from, age_range_to: to } = school;
  return [
    PHASES[school.phase],
    from != null && to != null && `ages ${from} to ${to}`,
    school.is_private && "private",
    GENDERS[school.gender],
    school.faith && school.faith !== "None" && school.faith,
    RATINGS[school.ofsted_rating] ?? (school.is_private ? null : "not rated"),
    school.lat == null && "place not known",
  ].filter(Boolean);
}

function badges(school, serves, years, isSelective, uncertainty) {
  const made = [];
  if (STATUSES[school.status]) made.push(element("li", { class: "badge warns" }, STATUSES[school.status]));
  if (serves) {
    const words = serves === "polygon" ? "Catchment holds your home" : "Home within its catchment's radius";
    made.push(element("li", { class: "badge serves" }, words));
  }
  for (const year of years) {
    const isClose = !year.all_offered && year.margin_km != null && Math.abs(year.margin_km) < uncertainty;
    const fits = year.all_offered || year.margin_km >= 0;
    const title = year.all_offered
      ? `In ${year.academic_year} ${everyone(isSelective)}`
      : `In ${year.academic_year} the last place by distance went to a child ${kilometres(year.last_distance_km)} away`;
    const intake = years.some((other) => other.intake !== year.intake) && year.intake ? ` ${year.intake}` : "";
    const text = `${short(year.academic_year)}${intake} ${words(year, isSelective, uncertainty)}`;
    made.push(element("li", { class: `badge year ${isClose ? "close" : fits ? "fits" : "misses"}`, title }, text));
  }
  return made.length > 0 && element("ul", { class: "badges" }, ...made);
}

// A school that the home misses, as an item of the list of near misses.
export function nearMiss({ school, km, year }, state) {
  const link = element("a", { href: pageOf(school.urn, state) }, school.name);
  const text = ` ${short(year)}: you would have missed it by ${kilometres(km)}`;
  return element("li", { "data-urn": school.urn }, link, text);
}

// Fetches the details of a school once; after a failure, again when the school is opened again.
async function fill(more, urn, state) {
  if (more.querySelector("dl")) return;
  more.replaceChildren();
  try {
    const own = element("a", { href: pageOf(urn, state) }, "All about this school, year by year");
    more.replaceChildren(...describe(await service.details(urn)), element("p", {}, own));
  } catch (error) {
    more.replaceChildren(element("p", { class: "error", role: "alert" }, error.message));
  }
}

export function describe(school) {
  const rows = [
    ["Address", [school.address, school.postcode].filter(Boolean).join(", ")],
    ["Kind", school.type],
    ["Council", school.council],
    ["Pupils", school.pupils && (school.capacity ? `${school.pupils} of ${school.capacity}` : school.pupils)],
    ["Clubs", school.clubs.map(club).join("; ")],
    ["Fees", school.fees.map(fee).join("; ")],
    ["Offers", school.admissions.map((year) => offers(year, school.is_selective)).join("; ")],
    ["URN", school.urn],
  ].filter(([, value]) => value);
  const list = element("dl", {});
  for (const [name, value] of rows) list.append(element("dt", {}, name), element("dd", {}, String(value)));
  const site = school.website_url;
  const link = site && element("p", {}, element("a", { href: site, rel: "noopener noreferrer" }, "Its website"));
  return [list, link].filter(Boolean);
}

function club({ kind, ends_at, cost, cost_per }) {
  const until = ends_at ? ` until ${ends_at.slice(0, 5)}` : "";
  return `${kind === "breakfast" ? "breakfast" : "after school"}${until}${cost ? `, £${cost} a ${cost_per}` : ""}`;
}

function fee({ academic_year, age_from, age_to, per_year }) {
  return `${short(academic_year)}, ages ${age_from} to ${age_to}: ${per_year ? `£${per_year} a year` : "not known"}`;
}

function offers(year, isSelective) {
  const { places_offered: count, applications_received: received, last_distance_offered_km: last } = year;
  const applications = received == null ? "" : ` for ${received} applications`;
  const places = count == null ? null : `${count} places${applications}`;
  const distance = last == null ? null : `last at ${kilometres(last)}`;
  const facts = [places, year.had_vacancies ? everyone(isSelective) : distance].filter(Boolean);
  const said = facts.join(", ") || "places not known";
  return `${short(year.academic_year)}${year.intake ? ` ${year.intake}` : ""}: ${said}`;
}
