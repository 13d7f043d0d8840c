// A grid of latitudes and longitudes with their degrees, at steps that suit the zoom.

const L = window.L;
const STEPS = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];

export function graticule(map) {
  map.createPane("graticule").classList.add("graticule");
  const lines = L.layerGroup().addTo(map);
  const draw = () => {
    lines.clearLayers();
    const bounds = map.getBounds();
    const wanted = (bounds.getNorth() - bounds.getSouth()) / 8;
    const step = STEPS.find((step) => step >= wanted) ?? 10;
    const places = Math.max(0, Math.ceil(-Math.log10(step)));
    const line = (from, to) => L.polyline([from, to], { pane: "graticule", className: "line", interactive: false });
    const label = (at, text, kind) =>
      L.marker(at, {
        pane: "graticule",
        interactive: false,
        keyboard: false,
        icon: L.divIcon({ className: `degrees ${kind}`, html: text, iconSize: null }),
      });
    for (const lat of steps(bounds.getSouth(), bounds.getNorth(), step)) {
      line([lat, bounds.getWest()], [lat, bounds.getEast()]).addTo(lines);
      const text = `${Math.abs(lat).toFixed(places)}° ${lat < 0 ? "S" : "N"}`;
      label([lat, bounds.getWest()], text, "lat").addTo(lines);
    }
    for (const lng of steps(bounds.getWest(), bounds.getEast(), step)) {
      line([bounds.getSouth(), lng], [bounds.getNorth(), lng]).addTo(lines);
      const text = `${Math.abs(lng).toFixed(places)}° ${lng < 0 ? "W" : "E"}`;
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
