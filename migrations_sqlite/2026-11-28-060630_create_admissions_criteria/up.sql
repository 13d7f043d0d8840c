-- Offers by criteria other than distance, such as to siblings: a distance among them says nothing of other children.
CREATE TABLE admissions_criteria (
    id INTEGER NOT NULL PRIMARY KEY,
    school_id BIGINT NOT NULL
        CONSTRAINT fk_admissions_criteria_school REFERENCES schools (id) ON DELETE CASCADE,
    -- The year in which the academic year begins: 2024 is 2024/2025.
    academic_year SMALLINT NOT NULL
        CONSTRAINT ck_criteria_academic_year CHECK (
            typeof(academic_year) = 'integer' AND academic_year BETWEEN 1900 AND 2199
        ),
    intake TEXT
        CONSTRAINT ck_criteria_intake CHECK (typeof(intake) IN ('text', 'null') AND length(intake) BETWEEN 1 AND 50),
    criterion TEXT NOT NULL
        CONSTRAINT ck_criteria_criterion CHECK (
            typeof(criterion) = 'text' AND length(criterion) BETWEEN 1 AND 200
        ),
    places_offered INTEGER
        CONSTRAINT ck_criteria_places_offered CHECK (
            typeof(places_offered) IN ('integer', 'null') AND places_offered BETWEEN 0 AND 2147483647
        ),
    applications_received INTEGER
        CONSTRAINT ck_criteria_applications_received CHECK (
            typeof(applications_received) IN ('integer', 'null') AND applications_received BETWEEN 0 AND 2147483647
        ),
    last_distance_offered_km DOUBLE
        CONSTRAINT ck_criteria_last_distance CHECK (
            typeof(last_distance_offered_km) IN ('real', 'null') AND last_distance_offered_km BETWEEN 0 AND 20037.6
        ),
    source TEXT
        CONSTRAINT ck_criteria_source CHECK (
            typeof(source) IN ('text', 'null') AND length(source) BETWEEN 1 AND 1000
        )
);

CREATE UNIQUE INDEX uq_admissions_criteria
    ON admissions_criteria (school_id, academic_year, coalesce(intake, ''), criterion);
