-- The box round each catchment's outline. The triggers read the outline themselves, with nothing but what is built into
-- SQLite: without its name and brackets, a WKT text with commas for blanks is a JSON list of lng, lat, lng, lat, ...
-- An outline that does not read as numbers in pairs is refused with its row.
CREATE VIRTUAL TABLE schools_catchment USING rtree (id, min_lat, max_lat, min_lng, max_lng);

CREATE VIEW schools_catchment_box AS
    SELECT
        schools.id,
        min(value) FILTER (WHERE key % 2 = 1) AS min_lat,
        max(value) FILTER (WHERE key % 2 = 1) AS max_lat,
        min(value) FILTER (WHERE key % 2 = 0) AS min_lng,
        max(value) FILTER (WHERE key % 2 = 0) AS max_lng
    FROM schools, json_each(
        '[' || replace(replace(replace(replace(substr(catchment_geometry, 13), '(', ''), ')', ''), ', ', ','), ' ', ',')
        || ']'
    )
    WHERE catchment_geometry IS NOT NULL
    GROUP BY schools.id;

INSERT INTO schools_catchment (id, min_lat, max_lat, min_lng, max_lng)
    SELECT id, min_lat, max_lat, min_lng, max_lng FROM schools_catchment_box;

CREATE TRIGGER tr_schools_catchment_insert AFTER INSERT ON schools WHEN NEW.catchment_geometry IS NOT NULL BEGIN
    INSERT INTO schools_catchment (id, min_lat, max_lat, min_lng, max_lng)
        SELECT id, min_lat, max_lat, min_lng, max_lng FROM schools_catchment_box WHERE id = NEW.id;
END;

CREATE TRIGGER tr_schools_catchment_update AFTER UPDATE OF id, catchment_geometry ON schools
    WHEN (OLD.id, OLD.catchment_geometry) IS NOT (NEW.id, NEW.catchment_geometry)
BEGIN
    DELETE FROM schools_catchment WHERE id = OLD.id;
    INSERT INTO schools_catchment (id, min_lat, max_lat, min_lng, max_lng)
        SELECT id, min_lat, max_lat, min_lng, max_lng FROM schools_catchment_box WHERE id = NEW.id;
END;

CREATE TRIGGER tr_schools_catchment_delete AFTER DELETE ON schools WHEN OLD.catchment_geometry IS NOT NULL BEGIN
    DELETE FROM schools_catchment WHERE id = OLD.id;
END;
