// Questions to the service.

export const PAGE = 20;
// More than lie round any one home; the map marks as many.
export const MARKED = 200;
const SUGGESTED = 6;
const UNREACHABLE = "The service cannot be reached.";
const FAILED = "The service is busy or has failed: try again in a moment.";

// The query parameters of a state; `without` leaves one filter out.
function parameters(state, without) {
  const query = new URLSearchParams();
  for (const name of ["lat", "lng", "within", "age", "max-rating", "gender", "name"]) {
    if (state[name] && name !== without) query.append(name, state[name]);
  }
  for (const name of ["phase", "has-club"]) {
    if (name !== without) state[name].forEach((value) => query.append(name, value));
  }
  if (state.ownership && without !== "ownership") query.append(state.ownership, "true");
  return query;
}

async function getJson(path, query, signal) {
  const headers = { Accept: "application/json, application/geo+json" };
  // A request that was aborted has not failed.
  const failed = (error, message) => (error.name === "AbortError" ? error : new Error(message));
  const response = await fetch(`${path}?${query}`, { signal, headers }).catch((error) => {
    throw failed(error, UNREACHABLE);
  });
  const body = await response.json().catch((error) => {
    throw failed(error, FAILED);
  });
  if (response.ok) return body;
  // A refusal says what is wrong with the request. The details of a fault are for the service's log.
  const message = response.status < 500 && body?.detail ? body.detail : FAILED;
  throw Object.assign(new Error(message), { status: response.status, problem: body });
}

// A page of the schools of the view.
export function schools(state, after, signal, limit = PAGE) {
  const path = { nearest: "/api/schools", catchment: "/api/catchment", reach: "/api/reach" }[state.view];
  const query = parameters(state);
  query.append("limit", limit);
  if (after) query.append("after", after);
  return getJson(path, query, signal);
}

// Every school whose catchment holds the home, and every one whose offers reached it.
export async function evidence(state, signal) {
  const query = parameters(state);
  query.append("limit", MARKED);
  const [serving, reached] = await Promise.all([
    getJson("/api/catchment", query, signal),
    getJson("/api/reach", query, signal),
  ]);
  return {
    serving: new Map(serving.schools.map((school) => [school.id, school.evidence])),
    reached: new Map(reached.schools.map((school) => [school.id, school])),
  };
}

// Counts of what the search finds; for each filter that is set, also what it would find with another value of it.
export async function facets(state, set, signal) {
  const counts = {};
  const requests = [null, ...set].map(async (without) => {
    const query = parameters(state, without);
    if (state.view === "reach") query.append("reached", "true");
    counts[without ?? ""] = await getJson("/api/facets", query, signal);
  });
  await Promise.all(requests);
  return counts;
}

const named = (ids) => new URLSearchParams(ids.slice(0, MARKED).map((id) => ["id", id]));

// The catchments of schools, as a map of this zoom shows them.
export function outlines(ids, zoom, signal) {
  if (ids.length === 0) return { type: "FeatureCollection", features: [] };
  const query = named(ids);
  query.append("zoom", zoom);
  return getJson("/api/outlines", query, signal);
}

// The past years of schools, by id.
export async function years(ids, signal) {
  if (ids.length === 0) return new Map();
  const { schools } = await getJson("/api/admissions", named(ids), signal);
  return new Map(schools.map((school) => [school.id, school]));
}

// Where a postcode places a home, and how far off that may be.
export const locate = (postcode, signal) => getJson("/api/locate", new URLSearchParams({ postcode }), signal);

// The schools that an unfinished text may mean.
export async function suggest(text, home, signal) {
  const query = new URLSearchParams({ text, limit: SUGGESTED });
  if (home) ["lat", "lng"].forEach((name, part) => query.append(name, home[part]));
  return (await getJson("/api/suggest", query, signal)).schools;
}

export async function details(urn) {
  const { schools } = await getJson(`/api/schools/${urn}`, "");
  return schools[0];
}
