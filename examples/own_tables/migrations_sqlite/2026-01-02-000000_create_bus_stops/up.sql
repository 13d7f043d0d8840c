-- SQLite has no points: a pair of numbers, indexed by latitude and then by longitude.
CREATE TABLE bus_stops (
    id INTEGER PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    lat REAL NOT NULL CHECK (lat BETWEEN -90 AND 90),
    lng REAL NOT NULL CHECK (lng BETWEEN -180 AND 180)
) STRICT;

CREATE INDEX ix_bus_stops_location ON bus_stops (lat, lng, name);
