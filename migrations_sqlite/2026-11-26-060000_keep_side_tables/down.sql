DROP TRIGGER tr_schools_catchment_replace;
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
    INSERT INTO schools_catchment (id, min_lat, max_lat, min_lng, max_lng, outline)
        SELECT id, min_lat, max_lat, min_lng, max_lng, outline FROM schools_catchment_box WHERE id = NEW.id;
END;
