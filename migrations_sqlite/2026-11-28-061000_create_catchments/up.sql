-- An R*Tree over all catchments: the box round an outline, or round the circle of a school that has a radius and no
-- outline. The outline itself is stored beside its box, so that a test for a point reads no wide row of schools: as WKB
-- where this crate wrote it, and as WKT where another program did, which gives the same answers and is slower.
CREATE VIRTUAL TABLE schools_catchment USING rtree (id, min_lat, max_lat, min_lng, max_lng, +outline);

-- The box round a circle, in degrees, a little wider than it need be. A point within the circle differs from the centre
-- by at most the circle's own angle of latitude, and a parallel at latitude x is 1 - x / 90 of the equator long, or
-- longer. The box of a circle near a pole, or over the dateline, goes all the way round.
CREATE VIEW schools_catchment_circle AS
    SELECT
        id,
        lat - half_height AS min_lat,
        lat + half_height AS max_lat,
        lng - iif(abs(lng) + half_width > 180, 360, half_width) AS min_lng,
        lng + iif(abs(lng) + half_width > 180, 360, half_width) AS max_lng
    FROM (
        SELECT *, iif(abs(lat) + half_height < 89, half_height / (1 - (abs(lat) + half_height) / 90), 360) AS half_width
        FROM (
            SELECT id, lat, lng, catchment_radius_km / 111.19 + 0.00001 AS half_height
            FROM schools
            WHERE catchment_radius_km IS NOT NULL AND catchment_geometry IS NULL AND lat IS NOT NULL
        )
    );

-- The box round each catchment. It reads an outline with functions that are built into SQLite, so that every program
-- can write it: without its name and brackets, a WKT text with commas for blanks is a JSON list of longitudes and
-- latitudes in turn.
CREATE VIEW schools_catchment_box AS
    SELECT
        schools.id,
        min(value) FILTER (WHERE key % 2 = 1) AS min_lat,
        max(value) FILTER (WHERE key % 2 = 1) AS max_lat,
        min(value) FILTER (WHERE key % 2 = 0) AS min_lng,
        max(value) FILTER (WHERE key % 2 = 0) AS max_lng,
        catchment_geometry AS outline
    FROM schools, json_each(
        '[' || replace(replace(replace(replace(substr(catchment_geometry, 13), '(', ''), ')', ''), ', ', ','), ' ', ',')
        || ']'
    )
    WHERE catchment_geometry IS NOT NULL
    GROUP BY schools.id
    UNION ALL
    SELECT id, min_lat, max_lat, min_lng, max_lng, NULL FROM schools_catchment_circle;

INSERT INTO schools_catchment (id, min_lat, max_lat, min_lng, max_lng, outline)
    SELECT id, min_lat, max_lat, min_lng, max_lng, outline FROM schools_catchment_box;

-- An outline that is not a list of pairs of numbers is refused with its row, under the name of the column's own CHECK.
-- REPLACE deletes a row without firing the triggers on deletion, unless `recursive_triggers` is on: what is there for
-- the id gives way to the new row.
CREATE TRIGGER tr_schools_catchment_insert AFTER INSERT ON schools
    WHEN NEW.catchment_geometry IS NOT NULL OR NEW.catchment_radius_km IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'CHECK constraint failed: ck_catchment_geometry')
        WHERE (
            SELECT count(*) % 2 = 1 OR count(*) FILTER (WHERE type NOT IN ('integer', 'real')) > 0
            FROM json_each(
                '[' || replace(replace(replace(replace(
                    substr(NEW.catchment_geometry, 13), '(', ''), ')', ''), ', ', ','), ' ', ','
                ) || ']'
            )
        );
    DELETE FROM schools_catchment WHERE id = NEW.id;
    INSERT INTO schools_catchment (id, min_lat, max_lat, min_lng, max_lng, outline)
        SELECT id, min_lat, max_lat, min_lng, max_lng, outline FROM schools_catchment_box WHERE id = NEW.id;
END;

-- As above, for a row that has no catchment.
CREATE TRIGGER tr_schools_catchment_replace AFTER INSERT ON schools
    WHEN NEW.catchment_geometry IS NULL AND NEW.catchment_radius_km IS NULL
BEGIN
    DELETE FROM schools_catchment WHERE id = NEW.id;
END;

-- While there is an outline, the school's location and radius do not matter.
CREATE TRIGGER tr_schools_catchment_update
    AFTER UPDATE OF id, catchment_geometry, catchment_radius_km, lat, lng ON schools
    WHEN (OLD.id, OLD.catchment_geometry) IS NOT (NEW.id, NEW.catchment_geometry)
        OR (
            NEW.catchment_geometry IS NULL
            AND (OLD.catchment_radius_km, OLD.lat, OLD.lng) IS NOT (NEW.catchment_radius_km, NEW.lat, NEW.lng)
        )
BEGIN
    SELECT RAISE(ABORT, 'CHECK constraint failed: ck_catchment_geometry')
        WHERE (
            SELECT count(*) % 2 = 1 OR count(*) FILTER (WHERE type NOT IN ('integer', 'real')) > 0
            FROM json_each(
                '[' || replace(replace(replace(replace(
                    substr(NEW.catchment_geometry, 13), '(', ''), ')', ''), ', ', ','), ' ', ','
                ) || ']'
            )
        );
    DELETE FROM schools_catchment WHERE id = OLD.id;
    INSERT INTO schools_catchment (id, min_lat, max_lat, min_lng, max_lng, outline)
        SELECT id, min_lat, max_lat, min_lng, max_lng, outline FROM schools_catchment_box WHERE id = NEW.id;
END;

CREATE TRIGGER tr_schools_catchment_delete AFTER DELETE ON schools
    WHEN OLD.catchment_geometry IS NOT NULL OR OLD.catchment_radius_km IS NOT NULL
BEGIN
    DELETE FROM schools_catchment WHERE id = OLD.id;
END;
