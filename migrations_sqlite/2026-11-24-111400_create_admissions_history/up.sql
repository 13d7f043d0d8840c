-- Who was offered a place, year by year. What is not known is NULL, and never zero.
CREATE TABLE admissions_history (
    id INTEGER NOT NULL PRIMARY KEY,
    school_id BIGINT NOT NULL
        CONSTRAINT fk_admissions_history_school REFERENCES schools (id) ON DELETE CASCADE,
    -- The year in which it begins: 2024 is 2024/2025.
    academic_year SMALLINT NOT NULL
        CONSTRAINT ck_admissions_academic_year CHECK (
            typeof(academic_year) = 'integer' AND academic_year BETWEEN 1900 AND 2199
        ),
    -- Which children it admits, such as 'Year R'; NULL where the source does not say.
    intake TEXT
        CONSTRAINT ck_admissions_intake CHECK (typeof(intake) IN ('text', 'null') AND length(intake) BETWEEN 1 AND 50),
    places_offered INTEGER
        CONSTRAINT ck_admissions_places_offered CHECK (
            typeof(places_offered) IN ('integer', 'null') AND places_offered BETWEEN 0 AND 2147483647
        ),
    applications_received INTEGER
        CONSTRAINT ck_admissions_applications_received CHECK (
            typeof(applications_received) IN ('integer', 'null') AND applications_received BETWEEN 0 AND 2147483647
        ),
    -- How far away the last child lived who was offered a place by distance.
    last_distance_offered_km DOUBLE
        CONSTRAINT ck_admissions_last_distance CHECK (
            typeof(last_distance_offered_km) IN ('real', 'null') AND last_distance_offered_km BETWEEN 0 AND 20037.6
        ),
    waiting_list_offers INTEGER
        CONSTRAINT ck_admissions_waiting_list_offers CHECK (
            typeof(waiting_list_offers) IN ('integer', 'null') AND waiting_list_offers BETWEEN 0 AND 2147483647
        ),
    appeals_heard INTEGER
        CONSTRAINT ck_admissions_appeals_heard CHECK (
            typeof(appeals_heard) IN ('integer', 'null') AND appeals_heard BETWEEN 0 AND 2147483647
        ),
    appeals_upheld INTEGER,
    had_vacancies BOOLEAN
        CONSTRAINT ck_admissions_had_vacancies CHECK (
            typeof(had_vacancies) IN ('integer', 'null') AND had_vacancies IN (0, 1)
        ),
    -- How places were allocated, in the words of the source.
    notes TEXT
        CONSTRAINT ck_admissions_notes CHECK (typeof(notes) IN ('text', 'null') AND length(notes) BETWEEN 1 AND 2000),
    source TEXT
        CONSTRAINT ck_admissions_source CHECK (typeof(source) IN ('text', 'null') AND length(source) BETWEEN 1 AND 1000),
    CONSTRAINT ck_admissions_appeals CHECK (
        typeof(appeals_upheld) IN ('integer', 'null') AND appeals_upheld BETWEEN 0 AND coalesce(appeals_heard, 2147483647)
    )
);

-- A school admits at several ages, and of some years it is not known at which: one row each, unknown ones included.
CREATE UNIQUE INDEX uq_admissions_school_year ON admissions_history (school_id, academic_year, coalesce(intake, ''));

-- How far each school's offers reached, newest year first: with `recency` n, `least_km` is the least of the newest n
-- years, so that a home within it would have been offered a place in every one of them. Years of which the distance is
-- not known are passed over.
CREATE VIEW admissions_by_recency AS
    SELECT
        school_id,
        intake,
        academic_year,
        row_number() OVER newest AS recency,
        min(last_distance_offered_km) OVER newest AS least_km
    FROM admissions_history
    WHERE last_distance_offered_km IS NOT NULL
    WINDOW newest AS (PARTITION BY school_id, intake ORDER BY academic_year DESC ROWS UNBOUNDED PRECEDING);

-- The same, kept by triggers: a query for a school's own rows does not get through the window to an index.
CREATE TABLE admissions_reach (
    id INTEGER NOT NULL PRIMARY KEY,
    school_id BIGINT NOT NULL,
    intake TEXT,
    academic_year SMALLINT NOT NULL,
    recency BIGINT NOT NULL,
    least_km DOUBLE NOT NULL
);

CREATE INDEX ix_admissions_reach_school ON admissions_reach (school_id, intake, recency, least_km);
-- The widest any school reached bounds how far a search has to look.
CREATE INDEX ix_admissions_reach_least ON admissions_reach (least_km);

CREATE TRIGGER tr_admissions_reach_insert AFTER INSERT ON admissions_history BEGIN
    DELETE FROM admissions_reach WHERE school_id = NEW.school_id AND intake IS NEW.intake;
    INSERT INTO admissions_reach (school_id, intake, academic_year, recency, least_km)
        SELECT school_id, intake, academic_year, recency, least_km FROM admissions_by_recency
        WHERE school_id = NEW.school_id AND intake IS NEW.intake;
END;

CREATE TRIGGER tr_admissions_reach_delete AFTER DELETE ON admissions_history BEGIN
    DELETE FROM admissions_reach WHERE school_id = OLD.school_id AND intake IS OLD.intake;
    INSERT INTO admissions_reach (school_id, intake, academic_year, recency, least_km)
        SELECT school_id, intake, academic_year, recency, least_km FROM admissions_by_recency
        WHERE school_id = OLD.school_id AND intake IS OLD.intake;
END;

CREATE TRIGGER tr_admissions_reach_update
    AFTER UPDATE OF school_id, intake, academic_year, last_distance_offered_km ON admissions_history
BEGIN
    DELETE FROM admissions_reach WHERE school_id IN (OLD.school_id, NEW.school_id);
    INSERT INTO admissions_reach (school_id, intake, academic_year, recency, least_km)
        SELECT school_id, intake, academic_year, recency, least_km FROM admissions_by_recency
        WHERE school_id IN (OLD.school_id, NEW.school_id);
END;
