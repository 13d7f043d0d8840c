-- A rename of `charged_for`, first step: expand. The new column may be NULL, so that a program that does not know it
-- can still insert. Triggers keep both columns equal, whichever of them a program writes.
ALTER TABLE libraries ADD COLUMN fee_per TEXT
    CONSTRAINT ck_library_fee_per CHECK (fee_per IN ('day', 'week', 'term'));

CREATE TRIGGER tr_libraries_fee_insert AFTER INSERT ON libraries WHEN NEW.fee_per IS NOT NEW.charged_for BEGIN
    UPDATE libraries
        SET fee_per = coalesce(NEW.fee_per, NEW.charged_for), charged_for = coalesce(NEW.fee_per, NEW.charged_for)
        WHERE id = NEW.id;
END;

CREATE TRIGGER tr_libraries_fee_update AFTER UPDATE OF charged_for, fee_per ON libraries
    WHEN NEW.fee_per IS NOT NEW.charged_for
BEGIN
    -- The column that changed wins; where neither did, the one that is filled.
    UPDATE libraries
        SET fee_per = CASE
                WHEN NEW.fee_per IS NOT OLD.fee_per THEN NEW.fee_per
                WHEN NEW.charged_for IS NOT OLD.charged_for THEN NEW.charged_for
                ELSE coalesce(NEW.fee_per, NEW.charged_for)
            END,
            charged_for = CASE
                WHEN NEW.fee_per IS NOT OLD.fee_per THEN NEW.fee_per
                WHEN NEW.charged_for IS NOT OLD.charged_for THEN NEW.charged_for
                ELSE coalesce(NEW.fee_per, NEW.charged_for)
            END
        WHERE id = NEW.id;
END;
