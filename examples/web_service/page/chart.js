// The map: the home, the schools, their catchments, and a grid in place of tiles, which would need the internet.

import { graticule } from "./graticule.js";

const L = window.L;
const METRES_A_DEGREE = 111_195;

const home = L.divIcon({
  className: "pin home",
  iconSize: [30, 30],
  html: '<svg viewBox="0 0 32 32" aria-hidden="true"><path d="M16 4 2 15h4v12h8v-8h4v8h8V15h4z"/></svg>',
});
// The pixels of a school's pin, those between the middles of two, and those at the right and below in which the scale,
// the buttons and a screen's legend lie. A phone's map has room for less.
const PINS = { size: 26, apart: 28, right: 60, below: 104 };
const SMALL_PINS = { size: 20, apart: 23, right: 100, below: 30 };

export class Chart {
  // `onMove` receives the new location of the home, `onPick` the clicked school. `onZoom` is called after a zoom.
  constructor(box, { onMove, onPick, onZoom }) {
    this.onPick = onPick;
    this.map = L.map(box, {
      attributionControl: false,
      keyboard: false,
      zoomControl: false,
      zoomSnap: 0.5,
      // The end of an animation would undo a fit that came between.
      zoomAnimation: false,
      minZoom: 5,
      maxZoom: 18,
      center: [54.5, -3],
      zoom: 6,
    });
    L.control.scale({ imperial: true, position: "bottomright" }).addTo(this.map);
    L.control.zoom({ position: "bottomright" }).addTo(this.map);
    graticule(this.map);
    this.areas = L.layerGroup().addTo(this.map);
    this.circle = L.layerGroup().addTo(this.map);
    this.dots = L.layerGroup().addTo(this.map);
    this.leaders = L.layerGroup().addTo(this.map);
    this.pins = L.layerGroup().addTo(this.map);
    this.markers = new Map();
    this.map.on("click", ({ latlng }) => onMove(latlng.lat, latlng.lng));
    let drawn = this.zoom();
    this.map.on("zoomend", () => {
      this.#spread();
      if (this.zoom() !== drawn && !this.isFitting) onZoom();
      drawn = this.zoom();
    });
    box.addEventListener("keydown", (event) => this.#key(event, onMove));
    // The pins repeat the list, which is what a screen reader reads.
    this.map.getPane("markerPane").setAttribute("aria-hidden", "true");
    new ResizeObserver(() => this.map.invalidateSize()).observe(box);
  }

  #key(event, onMove) {
    const step = event.shiftKey ? 1000 : 100;
    const [north, east] =
      { ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] }[event.key] ?? [];
    if (event.target !== event.currentTarget || event.altKey || event.ctrlKey || event.metaKey) return;
    if (north !== undefined) {
      const from = this.home?.getLatLng() ?? this.map.getCenter();
      const wide = METRES_A_DEGREE * Math.max(0.01, Math.cos((from.lat * Math.PI) / 180));
      onMove(from.lat + (north * step) / METRES_A_DEGREE, from.lng + (east * step) / wide);
    } else if (event.key === "+" || event.key === "=") this.map.zoomIn();
    else if (event.key === "-") this.map.zoomOut();
    else return;
    event.preventDefault();
  }

  // The zoom in whole steps, at which outlines are drawn.
  zoom() {
    return Math.ceil(this.map.getZoom());
  }

  // Puts the home somewhere, or nowhere.
  place(at) {
    this.home?.remove();
    const options = { icon: home, keyboard: false, interactive: false, zIndexOffset: 1000 };
    this.home = at && L.marker(at, options).addTo(this.map);
    if (at) this.map.panInside(at, { padding: [60, 60] });
  }

  // Draws the circle of so many kilometres round the home.
  within(at, km) {
    this.circle.clearLayers();
    if (at && km) L.circle(at, { radius: km * 1000, className: "within", interactive: false }).addTo(this.circle);
  }

  // Draws schools, which carry their rank in the list.
  schools(schools, evidence) {
    this.pins.clearLayers();
    this.markers.clear();
    const { size } = this.#pins();
    schools.forEach((school, at) => {
      if (school.lat == null) return;
      const kinds = [evidence.serving.has(school.id) && "serves", evidence.reached.has(school.id) && "reached"];
      const icon = L.divIcon({
        className: ["pin", "school", ...kinds.filter(Boolean)].join(" "),
        iconSize: [size, size],
        html: String(at + 1),
      });
      const place = L.latLng(school.lat, school.lng);
      // The nearer ones lie on top of those farther away; Leaflet orders them by their pixels besides.
      const options = { icon, keyboard: false, title: school.name, zIndexOffset: -1000 * at, place };
      const marker = L.marker(place, options);
      marker.on("click", () => this.onPick(school));
      marker.addTo(this.pins);
      this.markers.set(school.urn, marker);
    });
    this.#spread();
  }

  #pins() {
    return matchMedia("(max-width: 55.99rem)").matches ? SMALL_PINS : PINS;
  }

  // Moves pins apart that would cover each other or the home at this zoom, with a line to where each school is.
  #spread() {
    const { apart } = this.#pins();
    const taken = this.home ? [this.map.project(this.home.getLatLng())] : [];
    this.leaders.clearLayers();
    for (const marker of this.markers.values()) {
      const { place } = marker.options;
      const wanted = this.map.project(place);
      const isFree = (spot) => taken.every((other) => other.distanceTo(spot) >= apart);
      const spot = spotsRound(wanted, apart).find(isFree) ?? wanted;
      taken.push(spot);
      const at = spot === wanted ? place : this.map.unproject(spot);
      marker.setLatLng(at);
      if (at !== place) L.polyline([place, at], { className: "leader", interactive: false }).addTo(this.leaders);
    }
  }

  // Draws a dot for each place of a school, where no list has their ranks.
  overview(places) {
    this.dots.clearLayers();
    for (const at of places) L.circleMarker(at, { radius: 4, className: "dot", interactive: false }).addTo(this.dots);
  }

  // Draws catchments: those that hold the home stand out.
  outlines(collection, evidence) {
    this.areas.clearLayers();
    const kind = (feature) => `area ${evidence.serving.has(feature.properties.id) ? "serves" : ""}`.trim();
    const layers = L.geoJSON(collection, {
      style: (feature) => ({ className: kind(feature), interactive: false }),
      pointToLayer: (feature, at) =>
        L.circle(at, { radius: feature.properties.radius_km * 1000, className: kind(feature), interactive: false }),
    });
    // Highlighted schools are drawn last.
    const drawn = layers.getLayers().sort((a, b) => kind(a.feature).length - kind(b.feature).length);
    drawn.forEach((layer) => this.areas.addLayer(layer));
  }

  // Marks one school as the one that is looked at.
  mark(urn) {
    for (const [other, marker] of this.markers) marker.getElement()?.classList.toggle("picked", other === urn);
  }

  // Brings a school into view.
  show(urn) {
    this.mark(urn);
    const marker = this.markers.get(urn);
    if (marker) this.map.panInside(marker.getLatLng(), { padding: [60, 60] });
  }

  // Shows all of some places. The outlines of the new zoom are for the caller to draw.
  fit(places) {
    if (places.length === 0) return;
    const { right, below } = this.#pins();
    // At the other edges, room for half a pin that was moved.
    const padding = { paddingTopLeft: [30, 30], paddingBottomRight: [right, below] };
    this.isFitting = true;
    this.map.fitBounds(L.latLngBounds(places), { ...padding, maxZoom: 15, animate: false });
    this.isFitting = false;
  }
}

// A point and spots round it, the nearest first, up to twice as far as two pins are apart.
function spotsRound(point, apart) {
  const spots = [point];
  for (let ring = 1; ring <= 8; ring += 1) {
    for (let turn = 0; turn < 16; turn += 1) {
      const [angle, radius] = [(turn * Math.PI) / 8, (ring * apart) / 4];
      spots.push(point.add([radius * Math.cos(angle), radius * Math.sin(angle)]));
    }
  }
  return spots;
}
