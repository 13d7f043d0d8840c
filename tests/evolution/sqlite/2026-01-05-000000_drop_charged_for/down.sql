ALTER TABLE libraries ADD COLUMN charged_for TEXT
    CONSTRAINT ck_library_charged_for CHECK (charged_for IN ('day', 'week', 'term'));
UPDATE libraries SET charged_for = fee_per;

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
