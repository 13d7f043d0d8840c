-- Schools, one row each. SQLite stores any value in any column, so every CHECK also asks for the type. A STRICT table
-- would do so by itself, but has neither BOOLEAN nor DATE, from which `diesel print-schema` reads the Rust types.
CREATE TABLE schools (
    -- AUTOINCREMENT: an id is never used again after its school was deleted.
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    urn INTEGER NOT NULL
        CONSTRAINT uq_schools_urn UNIQUE
        CONSTRAINT ck_urn CHECK (typeof(urn) = 'integer' AND urn BETWEEN 1 AND 9999999),
    name TEXT NOT NULL
        CONSTRAINT ck_name CHECK (typeof(name) = 'text' AND length(name) BETWEEN 1 AND 200),
    -- The name as it is searched and sorted. Rust writes it, so that it is the same on every backend. The triggers
    -- below refuse one that is not the fold of the name.
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
        CONSTRAINT ck_website_url CHECK (
            typeof(website_url) IN ('text', 'null') AND length(website_url) <= 1000
            AND (lower(substr(website_url, 1, 7)) = 'http://' OR lower(substr(website_url, 1, 8)) = 'https://')),
    is_private BOOLEAN
        CONSTRAINT ck_is_private CHECK (typeof(is_private) IN ('integer', 'null') AND is_private IN (0, 1)),
    -- Whether it admits by ability.
    is_selective BOOLEAN
        CONSTRAINT ck_is_selective CHECK (typeof(is_selective) IN ('integer', 'null') AND is_selective IN (0, 1)),
    age_range_from SMALLINT
        CONSTRAINT ck_age_from CHECK (
            typeof(age_range_from) IN ('integer', 'null') AND age_range_from BETWEEN 0 AND 19
        ),
    age_range_to SMALLINT,
    ofsted_rating SMALLINT
        CONSTRAINT ck_ofsted_rating CHECK (
            typeof(ofsted_rating) IN ('integer', 'null') AND ofsted_rating BETWEEN 1 AND 4
        ),
    lat DOUBLE,
    lng DOUBLE,
    easting INTEGER
        CONSTRAINT ck_easting CHECK (typeof(easting) IN ('integer', 'null') AND easting BETWEEN 0 AND 700000),
    northing INTEGER
        CONSTRAINT ck_northing CHECK (typeof(northing) IN ('integer', 'null') AND northing BETWEEN 0 AND 1300000),
    -- At most half the circumference of the sphere that `haversine` measures on: no two points are farther apart.
    catchment_radius_km DOUBLE
        CONSTRAINT ck_positive_radius CHECK (
            typeof(catchment_radius_km) IN ('real', 'null')
            AND catchment_radius_km > 0 AND catchment_radius_km <= 20015.1
        ),
    opened_on DATE
        CONSTRAINT ck_opened_on CHECK (
            typeof(opened_on) IN ('text', 'null') AND opened_on IS date(opened_on, '+0 days')
        ),
    closed_on DATE
        CONSTRAINT ck_closed_on CHECK (
            typeof(closed_on) IN ('text', 'null') AND closed_on IS date(closed_on, '+0 days')
        ),
    capacity INTEGER
        CONSTRAINT ck_capacity CHECK (typeof(capacity) IN ('integer', 'null') AND capacity BETWEEN 0 AND 2147483647),
    pupils INTEGER
        CONSTRAINT ck_pupils CHECK (typeof(pupils) IN ('integer', 'null') AND pupils BETWEEN 0 AND 2147483647),
    source_date DATE
        CONSTRAINT ck_source_date CHECK (
            typeof(source_date) IN ('text', 'null') AND source_date IS date(source_date, '+0 days')
        ),
    -- NULL where the register names no phase, 'not_applicable' where it says so.
    phase TEXT
        CONSTRAINT ck_phase CHECK (phase IN (
            'nursery', 'primary', 'middle_primary', 'middle_secondary', 'secondary', 'all_through', '16_plus',
            'not_applicable'
        )),
    -- How often the row was changed. Whoever edits a school states the version they read, so that nobody overwrites an
    -- edit that they have not read.
    version INTEGER NOT NULL DEFAULT 1
        CONSTRAINT ck_version CHECK (typeof(version) = 'integer' AND version BETWEEN 1 AND 2147483647),
    -- A MULTIPOLYGON in WKT, longitude first. It may be large, so it is the last column: SQLite reads a row from its
    -- start.
    catchment_geometry TEXT
        CONSTRAINT ck_catchment_geometry CHECK (
            typeof(catchment_geometry) IN ('text', 'null') AND catchment_geometry GLOB 'MULTIPOLYGON(((*)))'
        ),
    CONSTRAINT ck_age_range CHECK (
        typeof(age_range_to) IN ('integer', 'null') AND age_range_to BETWEEN 0 AND 99
        AND (age_range_from IS NULL OR age_range_to >= age_range_from)
    ),
    -- Both or neither, on the earth, and not (0, 0), which publishers write for an unknown location.
    CONSTRAINT ck_coordinates CHECK (
        typeof(lat) IN ('real', 'null') AND typeof(lng) IN ('real', 'null') AND (lat IS NULL) = (lng IS NULL)
        AND lat BETWEEN -90 AND 90 AND lng BETWEEN -180 AND 180 AND NOT (lat = 0 AND lng = 0)
    )
);

-- Names with their folds, as Rust computes them: no SQL can repeat that. So a program that writes a name alone, or with
-- a fold of its own making, is refused. The sentence is read by programs that know nothing of this crate.
CREATE TABLE folded_names (
    name TEXT NOT NULL PRIMARY KEY
        CONSTRAINT ck_folded_name CHECK (typeof(name) = 'text'),
    name_folded TEXT NOT NULL
        CONSTRAINT ck_folded_name_folded CHECK (typeof(name_folded) = 'text')
);

CREATE TRIGGER tr_schools_fold_insert AFTER INSERT ON schools
    WHEN NOT EXISTS (SELECT 1 FROM folded_names WHERE name = NEW.name AND name_folded = NEW.name_folded)
BEGIN
    SELECT raise(
        ABORT,
        'name_folded is not the fold of name: write by school-finder-db, or store its text::fold in folded_names'
    );
END;

CREATE TRIGGER tr_schools_fold_update AFTER UPDATE OF name, name_folded ON schools
    WHEN NOT EXISTS (SELECT 1 FROM folded_names WHERE name = NEW.name AND name_folded = NEW.name_folded)
BEGIN
    SELECT raise(
        ABORT,
        'name_folded is not the fold of name: write by school-finder-db, or store its text::fold in folded_names'
    );
END;

-- Nearly every search is for schools that are open now. A partial index serves only a query that repeats its condition
-- to the letter: keep these in step with `OpenNow` in src/queries/conditions.rs.
CREATE INDEX ix_schools_open_council ON schools (council, is_private) WHERE status IN ('open', 'proposed_to_close');
CREATE INDEX ix_schools_open_council_name ON schools (council, name_folded, id)
    WHERE status IN ('open', 'proposed_to_close');
CREATE INDEX ix_schools_open_name ON schools (name_folded, id) WHERE status IN ('open', 'proposed_to_close');
CREATE INDEX ix_schools_open_phase_name ON schools (phase, name_folded, id)
    WHERE status IN ('open', 'proposed_to_close');
-- The order by rating puts unrated schools last, by an expression.
CREATE INDEX ix_schools_open_rating ON schools ((ofsted_rating IS NULL), ofsted_rating, name_folded, id)
    WHERE status IN ('open', 'proposed_to_close');

-- For searches that include closed schools.
CREATE INDEX ix_schools_council_rating ON schools (council, ofsted_rating, is_private);
CREATE INDEX ix_schools_rating ON schools (ofsted_rating);
CREATE INDEX ix_schools_postcode ON schools (postcode);

-- Locations, for searches within a circle: bands of a hundredth of a degree of latitude (1.1 km), each sorted from west
-- to east. The columns that most filters read are in the index as well, so that SQLite reads the wide rows of the page
-- alone. A query has to repeat the expression to the letter: keep it in step with `InBox` in src/sqlite/functions.rs.
CREATE INDEX ix_schools_latitude_band ON schools (
    CAST((lat + 90) * 100 AS INTEGER), lng, lat, status, phase, ofsted_rating, is_private, age_range_from, age_range_to
);
