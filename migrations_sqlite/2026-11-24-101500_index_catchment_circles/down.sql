DROP TRIGGER tr_schools_catchment_insert;
DROP TRIGGER tr_schools_catchment_update;
DROP TRIGGER tr_schools_catchment_delete;
DROP VIEW schools_catchment_box;
DROP VIEW schools_catchment_circle;
DROP TABLE schools_catchment;

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
