-- REPLACE deletes a row without telling the triggers, unless `recursive_triggers` is on: its box and outline stay behind, and the new
-- row takes their place.
DROP TRIGGER tr_schools_catchment_insert;

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

CREATE TRIGGER tr_schools_catchment_replace AFTER INSERT ON schools
    WHEN NEW.catchment_geometry IS NULL AND NEW.catchment_radius_km IS NULL
BEGIN
    DELETE FROM schools_catchment WHERE id = NEW.id;
END;

-- What was left behind before.
DELETE FROM schools_catchment WHERE id NOT IN (SELECT id FROM schools_catchment_box);
DELETE FROM admissions_reach WHERE school_id NOT IN (SELECT school_id FROM admissions_history);
