-- The table as it was: the script is from `sqlite::TableRebuild`.
PRAGMA foreign_keys = OFF;
BEGIN IMMEDIATE;
PRAGMA legacy_alter_table = ON;

CREATE TABLE schools_rebuilt (
    -- AUTOINCREMENT: an id is never handed out twice, also after its school was deleted.
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    urn INTEGER NOT NULL
        CONSTRAINT uq_schools_urn UNIQUE
        CONSTRAINT ck_urn CHECK (typeof(urn) = 'integer' AND urn BETWEEN 1 AND 9999999),
    name TEXT NOT NULL
        CONSTRAINT ck_name CHECK (typeof(name) = 'text' AND length(name) BETWEEN 1 AND 200),
    -- The name as it is searched and sorted: written by Rust, the same on every backend.
    name_folded TEXT NOT NULL
        CONSTRAINT ck_name_folded CHECK (typeof(name_folded) = 'text' AND length(name_folded) <= 1000),
    council TEXT
        CONSTRAINT ck_council CHECK (typeof(council) IN ('text', 'null') AND length(council) <= 100),
    status TEXT NOT NULL
        CONSTRAINT ck_status CHECK (status IN ('open', 'closed', 'proposed_to_open', 'proposed_to_close')),
    type TEXT
        CONSTRAINT ck_type CHECK (typeof(type) IN ('text', 'null') AND length(type) <= 100),
    gender TEXT
        CONSTRAINT ck_gender CHECK (gender IN ('mixed', 'boys', 'girls')),
    faith TEXT
        CONSTRAINT ck_faith CHECK (typeof(faith) IN ('text', 'null') AND length(faith) <= 100),
    address TEXT
        CONSTRAINT ck_address CHECK (typeof(address) IN ('text', 'null') AND length(address) <= 500),
    postcode TEXT
        CONSTRAINT ck_postcode CHECK (typeof(postcode) IN ('text', 'null') AND length(postcode) <= 10),
    website_url TEXT
        CONSTRAINT ck_website_url CHECK (typeof(website_url) IN ('text', 'null') AND length(website_url) <= 1000),
    is_private BOOLEAN
        CONSTRAINT ck_is_private CHECK (typeof(is_private) IN ('integer', 'null') AND is_private IN (0, 1)),
    age_range_from SMALLINT
        CONSTRAINT ck_age_from CHECK (typeof(age_range_from) IN ('integer', 'null') AND age_range_from BETWEEN 0 AND 19),
    age_range_to SMALLINT,
    ofsted_rating SMALLINT
        CONSTRAINT ck_ofsted_rating CHECK (typeof(ofsted_rating) IN ('integer', 'null') AND ofsted_rating BETWEEN 1 AND 4),
    lat DOUBLE,
    lng DOUBLE,
    easting INTEGER
        CONSTRAINT ck_easting CHECK (typeof(easting) IN ('integer', 'null') AND easting BETWEEN 0 AND 700000),
    northing INTEGER
        CONSTRAINT ck_northing CHECK (typeof(northing) IN ('integer', 'null') AND northing BETWEEN 0 AND 1300000),
    catchment_radius_km DOUBLE
        CONSTRAINT ck_positive_radius CHECK (
            typeof(catchment_radius_km) IN ('real', 'null') AND catchment_radius_km > 0 AND catchment_radius_km <= 20037.6
        ),
    -- A MULTIPOLYGON in WKT, longitude first.
    catchment_geometry TEXT
        CONSTRAINT ck_catchment_geometry CHECK (
            typeof(catchment_geometry) IN ('text', 'null') AND catchment_geometry GLOB 'MULTIPOLYGON(((*)))'
        ),
    opened_on DATE
        CONSTRAINT ck_opened_on CHECK (typeof(opened_on) IN ('text', 'null') AND opened_on IS date(opened_on, '+0 days')),
    closed_on DATE
        CONSTRAINT ck_closed_on CHECK (typeof(closed_on) IN ('text', 'null') AND closed_on IS date(closed_on, '+0 days')),
    capacity INTEGER
        CONSTRAINT ck_capacity CHECK (typeof(capacity) IN ('integer', 'null') AND capacity BETWEEN 0 AND 2147483647),
    pupils INTEGER
        CONSTRAINT ck_pupils CHECK (typeof(pupils) IN ('integer', 'null') AND pupils BETWEEN 0 AND 2147483647),
    source_date DATE
        CONSTRAINT ck_source_date CHECK (typeof(source_date) IN ('text', 'null') AND source_date IS date(source_date, '+0 days')),
    phase TEXT
        CONSTRAINT ck_phase CHECK (phase IN (
            'nursery', 'primary', 'middle_primary', 'middle_secondary', 'secondary', 'all_through', '16_plus',
            'not_applicable'
        )),
    version INTEGER NOT NULL DEFAULT 1
        CONSTRAINT ck_version CHECK (typeof(version) = 'integer' AND version BETWEEN 1 AND 2147483647),
    CONSTRAINT ck_age_range CHECK (
        typeof(age_range_to) IN ('integer', 'null') AND age_range_to BETWEEN 0 AND 99
        AND (age_range_from IS NULL OR age_range_to >= age_range_from)
    ),
    -- Both or neither, on the earth, and not (0, 0), which always means that nobody knew.
    CONSTRAINT ck_coordinates CHECK (
        typeof(lat) IN ('real', 'null') AND typeof(lng) IN ('real', 'null') AND (lat IS NULL) = (lng IS NULL)
        AND lat BETWEEN -90 AND 90 AND lng BETWEEN -180 AND 180 AND NOT (lat = 0 AND lng = 0)
    )
);

INSERT INTO schools_rebuilt (
    "id",
    "urn",
    "name",
    "name_folded",
    "council",
    "status",
    "type",
    "gender",
    "faith",
    "address",
    "postcode",
    "website_url",
    "is_private",
    "age_range_from",
    "age_range_to",
    "ofsted_rating",
    "lat",
    "lng",
    "easting",
    "northing",
    "catchment_radius_km",
    "catchment_geometry",
    "opened_on",
    "closed_on",
    "capacity",
    "pupils",
    "source_date",
    "phase",
    "version"
)
SELECT
    "id",
    "urn",
    "name",
    "name_folded",
    "council",
    "status",
    "type",
    "gender",
    "faith",
    "address",
    "postcode",
    "website_url",
    "is_private",
    "age_range_from",
    "age_range_to",
    "ofsted_rating",
    "lat",
    "lng",
    "easting",
    "northing",
    "catchment_radius_km",
    "catchment_geometry",
    "opened_on",
    "closed_on",
    "capacity",
    "pupils",
    "source_date",
    "phase",
    "version"
FROM schools;

-- An id is never handed out twice, also where the newest rows were deleted.
DELETE FROM sqlite_sequence WHERE name = 'schools_rebuilt';
INSERT INTO sqlite_sequence (name, seq) SELECT 'schools_rebuilt', seq FROM sqlite_sequence WHERE name = 'schools';

DROP TABLE schools;
ALTER TABLE schools_rebuilt RENAME TO schools;

CREATE INDEX ix_schools_open_council ON schools (council, is_private) WHERE status IN ('open', 'proposed_to_close');

CREATE INDEX ix_schools_open_council_name ON schools (council, name_folded, id)
    WHERE status IN ('open', 'proposed_to_close');

CREATE INDEX ix_schools_open_name ON schools (name_folded, id) WHERE status IN ('open', 'proposed_to_close');

CREATE INDEX ix_schools_open_rating ON schools ((ofsted_rating IS NULL), ofsted_rating, name_folded, id)
    WHERE status IN ('open', 'proposed_to_close');

CREATE INDEX ix_schools_council_rating ON schools (council, ofsted_rating, is_private);

CREATE INDEX ix_schools_rating ON schools (ofsted_rating);

CREATE INDEX ix_schools_lat_lng ON schools (lat, lng);

CREATE INDEX ix_schools_postcode ON schools (postcode);

CREATE INDEX ix_schools_open_phase_name ON schools (phase, name_folded, id)
    WHERE status IN ('open', 'proposed_to_close');

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

CREATE TRIGGER tr_school_reviews_new_school AFTER INSERT ON schools BEGIN
    UPDATE school_reviews SET school_id = NEW.id WHERE urn = NEW.urn AND school_id IS NULL;
END;

CREATE TRIGGER tr_school_links_new_school AFTER INSERT ON schools BEGIN
    UPDATE school_links SET school_id = NEW.id WHERE urn = NEW.urn;
    UPDATE school_links SET linked_school_id = NEW.id WHERE linked_urn = NEW.urn;
END;

-- Every row still points to a row.
CREATE TEMP TABLE rebuild_check (broken INTEGER CONSTRAINT ck_rebuild_keeps_references CHECK (broken = 0));
INSERT INTO rebuild_check SELECT count(*) FROM pragma_foreign_key_check;
DROP TABLE rebuild_check;

PRAGMA legacy_alter_table = OFF;
COMMIT;
PRAGMA foreign_keys = ON;
