// A grid of latitudes and longitudes with their degrees, at steps that leave room for the labels.

const L = window.L;
const STEPS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];
// The least pixels between two lines.
const APART = { lat: 70, lng: 90 };
// The pixels at the corners where the labels of both sides would meet, and those of a legend that lies on the map.
const CORNER = { lat: 30, lng: 70 };
const LEGEND = 110;

export function graticule(map) {
  map.createPane("graticule").classList.add("graticule");
  const lines = L.layerGroup().addTo(map);
  const draw = () => {
    lines.clearLayers();
    const bounds = map.getBounds();
    const { x: width, y: height } = map.getSize();
    if (width === 0 || height === 0) return;
    const grid = (from, to, pixels, { apart, corner }) => {
      const wanted = ((to - from) / pixels) * apart;
      const step = STEPS.find((step) => step >= wanted) ?? 10;
      const places = Math.max(0, Math.ceil(-Math.log10(step)));
      return { at: steps(from, to, step), places, corner: ((to - from) / pixels) * corner };
    };
    const isCovered = getComputedStyle(document.querySelector(".legend")).position === "absolute";
    const legend = !isCovered ? 0 : ((bounds.getNorth() - bounds.getSouth()) / height) * LEGEND;
    const lats = grid(bounds.getSouth(), bounds.getNorth(), height, { apart: APART.lat, corner: CORNER.lat });
    const lngs = grid(bounds.getWest(), bounds.getEast(), width, { apart: APART.lng, corner: CORNER.lng });
    const line = (from, to) => L.polyline([from, to], { pane: "graticule", className: "line", interactive: false });
    const label = (at, text, kind) =>
      L.marker(at, {
        pane: "graticule",
        interactive: false,
        keyboard: false,
        icon: L.divIcon({ className: `degrees ${kind}`, html: text, iconSize: null }),
      });
    for (const lat of lats.at) {
      line([lat, bounds.getWest()], [lat, bounds.getEast()]).addTo(lines);
      if (lat > bounds.getNorth() - lats.corner || lat < bounds.getSouth() + Math.max(legend, lats.corner)) continue;
      const text = `${Math.abs(lat).toFixed(lats.places)}° ${lat < 0 ? "S" : "N"}`;
      label([lat, bounds.getWest()], text, "lat").addTo(lines);
    }
    for (const lng of lngs.at) {
      line([bounds.getSouth(), lng], [bounds.getNorth(), lng]).addTo(lines);
      if (lng < bounds.getWest() + lngs.corner || lng > bounds.getEast() - lngs.corner) continue;
      const text = `${Math.abs(lng).toFixed(lngs.places)}° ${lng < 0 ? "W" : "E"}`;
      label([bounds.getNorth(), lng], text, "lng").addTo(lines);
    }
  };
  map.on("moveend resize", draw);
  draw();
}

function steps(from, to, step) {
  const made = [];
  for (let at = Math.ceil(from / step); at * step <= to; at += 1) made.push(at * step);
  return made;
}
