-- The rows that say how far a school's offers reached in a year. Where every applicant was offered a place
-- (`had_vacancies`), they reached farther than any distance: 40075 km, the earth's circumference.
CREATE VIEW admissions_evidence AS
    SELECT
        school_id,
        intake,
        academic_year,
        CASE WHEN had_vacancies THEN 40075.0 ELSE last_distance_offered_km END AS offered_km
    FROM admissions_history
    WHERE had_vacancies OR last_distance_offered_km IS NOT NULL;

-- How far each school's offers reached. `recency` counts the years of evidence from the newest, which is 1. `least_km`
-- is the least of the years up to that one: a home within it would have been offered a place in each of them.
CREATE VIEW admissions_by_recency AS
    SELECT
        school_id,
        intake,
        academic_year,
        row_number() OVER newest AS recency,
        min(offered_km) OVER newest AS least_km
    FROM (
        SELECT school_id, intake, academic_year, offered_km FROM admissions_evidence
        UNION ALL
        -- A row without an intake may be of any: it counts for each intake of its school that has no row of that year.
        SELECT DISTINCT unnamed.school_id, named.intake, unnamed.academic_year, unnamed.offered_km
        FROM admissions_evidence AS unnamed
        JOIN admissions_evidence AS named ON named.school_id = unnamed.school_id AND named.intake IS NOT NULL
        WHERE unnamed.intake IS NULL
            AND NOT EXISTS (
                SELECT 1 FROM admissions_evidence AS same
                WHERE same.school_id = unnamed.school_id
                    AND same.academic_year = unnamed.academic_year
                    AND same.intake = named.intake
            )
    ) AS evidence
    WINDOW newest AS (PARTITION BY school_id, intake ORDER BY academic_year DESC ROWS UNBOUNDED PRECEDING);

-- The rows of the view, stored: a query for one school cannot use an index through the view's window. Triggers keep
-- them up to date.
CREATE TABLE admissions_reach (
    id INTEGER NOT NULL PRIMARY KEY,
    school_id BIGINT NOT NULL,
    intake TEXT,
    academic_year SMALLINT NOT NULL,
    recency BIGINT NOT NULL,
    least_km DOUBLE NOT NULL
);

CREATE INDEX ix_admissions_reach_school ON admissions_reach (school_id, intake, recency, least_km);
-- The greatest distance of any school bounds how far a search without a radius goes.
CREATE INDEX ix_admissions_reach_least ON admissions_reach (least_km);

INSERT INTO admissions_reach (school_id, intake, academic_year, recency, least_km)
    SELECT school_id, intake, academic_year, recency, least_km FROM admissions_by_recency;

-- REPLACE deletes the row of the same id and fires no trigger for it: the reach of that row's school would be stale.
CREATE TRIGGER tr_admissions_reach_replace BEFORE INSERT ON admissions_history
    WHEN EXISTS (SELECT 1 FROM admissions_history WHERE id = NEW.id AND school_id <> NEW.school_id)
BEGIN
    SELECT raise(ABORT, 'this id is a row of another school: delete that row first');
END;

CREATE TRIGGER tr_admissions_reach_insert AFTER INSERT ON admissions_history BEGIN
    DELETE FROM admissions_reach WHERE school_id = NEW.school_id;
    INSERT INTO admissions_reach (school_id, intake, academic_year, recency, least_km)
        SELECT school_id, intake, academic_year, recency, least_km FROM admissions_by_recency
        WHERE school_id = NEW.school_id;
END;

CREATE TRIGGER tr_admissions_reach_delete AFTER DELETE ON admissions_history BEGIN
    DELETE FROM admissions_reach WHERE school_id = OLD.school_id;
    INSERT INTO admissions_reach (school_id, intake, academic_year, recency, least_km)
        SELECT school_id, intake, academic_year, recency, least_km FROM admissions_by_recency
        WHERE school_id = OLD.school_id;
END;

CREATE TRIGGER tr_admissions_reach_update
    AFTER UPDATE OF school_id, intake, academic_year, last_distance_offered_km, had_vacancies
    ON admissions_history
BEGIN
    DELETE FROM admissions_reach WHERE school_id IN (OLD.school_id, NEW.school_id);
    INSERT INTO admissions_reach (school_id, intake, academic_year, recency, least_km)
        SELECT school_id, intake, academic_year, recency, least_km FROM admissions_by_recency
        WHERE school_id IN (OLD.school_id, NEW.school_id);
END;
