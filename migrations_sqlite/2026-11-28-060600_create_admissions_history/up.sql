-- Who was offered a place, year by year. What is unknown is NULL, and never zero.
CREATE TABLE admissions_history (
    id INTEGER NOT NULL PRIMARY KEY,
    school_id BIGINT NOT NULL
        CONSTRAINT fk_admissions_history_school REFERENCES schools (id) ON DELETE CASCADE,
    -- The year in which the academic year begins: 2024 is 2024/2025.
    academic_year SMALLINT NOT NULL
        CONSTRAINT ck_admissions_academic_year CHECK (
            typeof(academic_year) = 'integer' AND academic_year BETWEEN 1900 AND 2199
        ),
    -- Which year group was admitted, such as 'Year R'; NULL where the source does not state it.
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
    -- The distance to the home of the last child who was offered a place by distance.
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
        CONSTRAINT ck_admissions_source CHECK (
            typeof(source) IN ('text', 'null') AND length(source) BETWEEN 1 AND 1000
        ),
    CONSTRAINT ck_admissions_appeals CHECK (
        typeof(appeals_upheld) IN ('integer', 'null')
        AND appeals_upheld BETWEEN 0 AND coalesce(appeals_heard, 2147483647)
    )
);

-- A school may admit at several ages: one row for each intake of a year, and one for an unknown intake.
CREATE UNIQUE INDEX uq_admissions_school_year ON admissions_history (school_id, academic_year, coalesce(intake, ''));
