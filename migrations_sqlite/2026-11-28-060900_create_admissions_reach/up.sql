-- How far each school's offers reached. `recency` counts the years with a known distance from the newest, which is 1.
-- `least_km` is the least last distance of the years up to that one, so that a home within it would have been offered a
-- place in each of them.
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
-- The greatest distance of any school bounds how far a search has to go.
CREATE INDEX ix_admissions_reach_least ON admissions_reach (least_km);

INSERT INTO admissions_reach (school_id, intake, academic_year, recency, least_km)
    SELECT school_id, intake, academic_year, recency, least_km FROM admissions_by_recency;

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
