// What past offers say of a home: each known year of a school, with the margin.

import { kilometres } from "./list.js";

const RADIUS_KM = 6371.0;

// The known years of a school's admissions, newest first. `distance` is that of the home, or null.
export function known(school, distance) {
  return (school.admissions ?? [])
    .filter((year) => year.had_vacancies || year.last_distance_offered_km != null)
    .map((year) => {
      const last = year.had_vacancies ? null : year.last_distance_offered_km;
      return {
        academic_year: year.academic_year,
        intake: year.intake,
        all_offered: year.had_vacancies === true,
        last_distance_km: last,
        margin_km: last == null || distance == null ? null : last - distance,
      };
    });
}

// By how many kilometres a home misses a school: the least miss of the newest year of each intake, or null where one of
// them reaches the home or none is known.
export function miss(years) {
  const newest = new Map();
  for (const year of years) if (!newest.has(year.intake)) newest.set(year.intake, year);
  const margins = [...newest.values()].map((year) => (year.all_offered ? 0 : year.margin_km));
  if (margins.length === 0 || margins.some((margin) => margin == null || margin >= 0)) return null;
  return -Math.max(...margins);
}

// Who was offered a place in a year in which all were.
export const everyone = (isSelective) =>
  isSelective ? "all who qualified were offered a place" : "all were offered a place";

// What a year says, in a few words.
// `uncertainty` is how far off the home may be, in kilometres.
export function words({ all_offered, margin_km }, isSelective, uncertainty = 0) {
  if (all_offered) return `✓ ${everyone(isSelective)}`;
  if (margin_km == null) return "";
  if (Math.abs(margin_km) < uncertainty) return "too close to say from a postcode";
  const km = kilometres(Math.abs(margin_km));
  return margin_km >= 0 ? `✓ ${km} to spare` : `✗ you would have missed it by ${km}`;
}

// "2025/26" of "2025/2026".
export const short = (academicYear) => academicYear.replace(/\/\d\d(\d\d)$/, "/$1");

// The great-circle distance in kilometres, as the service measures it.
export function distance([lat, lng], [toLat, toLng]) {
  const radians = (degrees) => (degrees * Math.PI) / 180;
  const [north, east] = [radians(toLat - lat) / 2, radians(toLng - lng) / 2];
  const part = Math.sin(north) ** 2 + Math.cos(radians(lat)) * Math.cos(radians(toLat)) * Math.sin(east) ** 2;
  return 2 * RADIUS_KM * Math.asin(Math.min(1, Math.sqrt(part)));
}
