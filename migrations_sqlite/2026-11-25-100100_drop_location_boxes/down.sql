CREATE VIRTUAL TABLE schools_location USING rtree (id, min_lat, max_lat, min_lng, max_lng);

INSERT INTO schools_location (id, min_lat, max_lat, min_lng, max_lng)
    SELECT id, lat, lat, lng, lng FROM schools WHERE lat IS NOT NULL;

CREATE TRIGGER tr_schools_location_insert AFTER INSERT ON schools WHEN NEW.lat IS NOT NULL BEGIN
    INSERT INTO schools_location (id, min_lat, max_lat, min_lng, max_lng)
        VALUES (NEW.id, NEW.lat, NEW.lat, NEW.lng, NEW.lng);
END;

CREATE TRIGGER tr_schools_location_update AFTER UPDATE OF id, lat, lng ON schools
    WHEN (OLD.id, OLD.lat, OLD.lng) IS NOT (NEW.id, NEW.lat, NEW.lng)
BEGIN
    DELETE FROM schools_location WHERE id = OLD.id;
    INSERT INTO schools_location (id, min_lat, max_lat, min_lng, max_lng)
        SELECT NEW.id, NEW.lat, NEW.lat, NEW.lng, NEW.lng WHERE NEW.lat IS NOT NULL;
END;

CREATE TRIGGER tr_schools_location_delete AFTER DELETE ON schools WHEN OLD.lat IS NOT NULL BEGIN
    DELETE FROM schools_location WHERE id = OLD.id;
END;

CREATE INDEX ix_schools_lat_lng ON schools (lat, lng);
