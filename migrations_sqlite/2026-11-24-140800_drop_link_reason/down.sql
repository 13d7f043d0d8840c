ALTER TABLE school_links ADD COLUMN reason TEXT
    CONSTRAINT ck_link_reason CHECK (typeof(reason) IN ('text', 'null') AND length(reason) BETWEEN 1 AND 200);
UPDATE school_links SET reason = link_type;

CREATE TRIGGER tr_school_links_type_insert AFTER INSERT ON school_links WHEN NEW.link_type IS NOT NEW.reason BEGIN
    UPDATE school_links
        SET link_type = coalesce(NEW.link_type, NEW.reason), reason = coalesce(NEW.link_type, NEW.reason)
        WHERE id = NEW.id;
END;

CREATE TRIGGER tr_school_links_type_update AFTER UPDATE OF reason, link_type ON school_links
    WHEN NEW.link_type IS NOT NEW.reason
BEGIN
    -- Whichever changed; where neither did, the one that has been filled.
    UPDATE school_links
        SET link_type = CASE
                WHEN NEW.link_type IS NOT OLD.link_type THEN NEW.link_type
                WHEN NEW.reason IS NOT OLD.reason THEN NEW.reason
                ELSE coalesce(NEW.link_type, NEW.reason)
            END,
            reason = CASE
                WHEN NEW.link_type IS NOT OLD.link_type THEN NEW.link_type
                WHEN NEW.reason IS NOT OLD.reason THEN NEW.reason
                ELSE coalesce(NEW.link_type, NEW.reason)
            END
        WHERE id = NEW.id;
END;
