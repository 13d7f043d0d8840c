// The search, stored in the address after the `#`, so that it can be shared. The names are those of the interface.

const LISTS = ["phase", "has-club"];
const WORDS = ["view", "postcode", "lat", "lng", "within", "age", "ownership", "max-rating", "gender", "name"];

export function read(hash) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const state = { view: "nearest" };
  for (const name of WORDS) {
    if (given.get(name)) state[name] = given.get(name);
  }
  for (const name of LISTS) state[name] = given.getAll(name);
  if (!["nearest", "catchment", "reach"].includes(state.view) || !home(state)) state.view = "nearest";
  if (!home(state)) {
    delete state.lat;
    delete state.lng;
    delete state.postcode;
    delete state.within;
  }
  return state;
}

export function write(state) {
  history.replaceState(null, "", `#${text(state)}`);
}

export function text(state) {
  const given = new URLSearchParams();
  for (const name of WORDS) {
    if (state[name] && !(name === "view" && state.view === "nearest")) given.append(name, state[name]);
  }
  for (const name of LISTS) state[name].forEach((value) => given.append(name, value));
  return given.toString();
}

// The home, or nothing.
export function home(state) {
  const place = [Number(state.lat), Number(state.lng)];
  return state.lat && state.lng && place.every(Number.isFinite) ? place : null;
}

// Five decimal places are a metre or so.
export function moveHome(state, lat, lng, postcode) {
  if (postcode) state.postcode = postcode;
  else delete state.postcode;
  state.lat = Math.max(-90, Math.min(90, lat)).toFixed(5);
  state.lng = (((lng + 540) % 360) - 180).toFixed(5);
}

// "52.0406, -0.7594" as two numbers, or nothing.
export function place(text) {
  const match = /^\s*([+-]?\d+(?:\.\d+)?)\s*[,;\s]\s*([+-]?\d+(?:\.\d+)?)\s*$/.exec(text);
  if (!match) return null;
  const [lat, lng] = [Number(match[1]), Number(match[2])];
  return Math.abs(lat) <= 90 && Math.abs(lng) <= 180 ? [lat, lng] : null;
}

// How many filters narrow the search.
export function active(state) {
  const words = ["within", "age", "ownership", "max-rating", "gender", "name"].filter((name) => state[name]).length;
  return words + LISTS.reduce((sum, name) => sum + state[name].length, 0);
}
