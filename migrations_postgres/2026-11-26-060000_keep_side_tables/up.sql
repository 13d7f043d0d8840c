-- TRUNCATE fires no trigger of rows. Also where it comes from `TRUNCATE schools CASCADE`: an id that is handed out again must
-- not find what another school's offers reached.
CREATE FUNCTION admissions_reach_empty() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM admissions_reach;
    RETURN NULL;
END $$;

CREATE TRIGGER tr_admissions_reach_truncate AFTER TRUNCATE ON admissions_history
    FOR EACH STATEMENT EXECUTE FUNCTION admissions_reach_empty();

-- What was left behind before.
DELETE FROM admissions_reach AS reach
    WHERE NOT EXISTS (SELECT FROM admissions_history AS known WHERE known.school_id = reach.school_id);
