-- One R*Tree over all catchments: the box round an outline, or round the circle of a school that has a radius and no
-- outline. With it stands the outline itself, so that whether it holds a point is told without the wide row: as WKB
-- where this crate wrote it, and as the WKT that any other program wrote, which is right too, and slower.
DROP TRIGGER tr_schools_catchment_insert;
DROP TRIGGER tr_schools_catchment_update;
DROP TRIGGER tr_schools_catchment_delete;
DROP VIEW schools_catchment_box;
DROP TABLE schools_catchment;

CREATE VIRTUAL TABLE schools_catchment USING rtree (id, min_lat, max_lat, min_lng, max_lng, +outline);

-- The box of a circle, in degrees, a little wider than it need be. On its way from the centre a place gains at most the
-- circle's own angle of latitude, and a parallel at latitude x is 1 - x / 90 of the equator long, or longer. A circle
-- near a pole, or over the dateline, is boxed all the way round.
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

-- The triggers read an outline themselves, with nothing but what is built into SQLite: without its name and brackets, a
-- WKT text with commas for blanks is a JSON list of lng, lat, lng, lat, ... One that does not read as pairs of numbers is
-- refused with its row, under the name of the column's own CHECK.
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
    INSERT INTO schools_catchment (id, min_lat, max_lat, min_lng, max_lng, outline)
        SELECT id, min_lat, max_lat, min_lng, max_lng, outline FROM schools_catchment_box WHERE id = NEW.id;
END;

-- While there is an outline, where the school stands and its radius do not matter.
CREATE TRIGGER tr_schools_catchment_update AFTER UPDATE OF id, catchment_geometry, catchment_radius_km, lat, lng ON schools
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
