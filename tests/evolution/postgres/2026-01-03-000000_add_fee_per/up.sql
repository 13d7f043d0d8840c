-- A rename of `charged_for`, first step: expand. The new column may be NULL, so that a program that does not know it
-- can still insert. Triggers keep both columns equal, whichever of them a program writes.
ALTER TABLE libraries ADD COLUMN fee_per TEXT
    CONSTRAINT ck_library_fee_per CHECK (fee_per IN ('day', 'week', 'term'));

CREATE FUNCTION libraries_keep_fee() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- The column that changed wins; where neither did, the one that is filled.
    IF TG_OP = 'INSERT' THEN
        NEW.fee_per := coalesce(NEW.fee_per, NEW.charged_for);
    ELSIF NEW.fee_per IS DISTINCT FROM OLD.fee_per THEN
        NULL;
    ELSIF NEW.charged_for IS DISTINCT FROM OLD.charged_for THEN
        NEW.fee_per := NEW.charged_for;
    ELSE
        NEW.fee_per := coalesce(NEW.fee_per, NEW.charged_for);
    END IF;
    NEW.charged_for := NEW.fee_per;
    RETURN NEW;
END $$;

CREATE TRIGGER tr_libraries_fee_insert BEFORE INSERT ON libraries
    FOR EACH ROW EXECUTE FUNCTION libraries_keep_fee();
CREATE TRIGGER tr_libraries_fee_update BEFORE UPDATE OF charged_for, fee_per ON libraries
    FOR EACH ROW EXECUTE FUNCTION libraries_keep_fee();
