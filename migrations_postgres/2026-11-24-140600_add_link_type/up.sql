-- The register's name for `reason` is the type of a link, and that is what it is. The first of three steps of a rename
-- (docs/migrations.md): both columns are there, and triggers keep them the same, whichever of them a program knows.
ALTER TABLE school_links ADD COLUMN link_type TEXT
    CONSTRAINT ck_link_type CHECK (length(link_type) BETWEEN 1 AND 200);

CREATE FUNCTION school_links_keep_type() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Whichever changed; where neither did, the one that has been filled.
    IF TG_OP = 'INSERT' THEN
        NEW.link_type := coalesce(NEW.link_type, NEW.reason);
    ELSIF NEW.link_type IS DISTINCT FROM OLD.link_type THEN
        NULL;
    ELSIF NEW.reason IS DISTINCT FROM OLD.reason THEN
        NEW.link_type := NEW.reason;
    ELSE
        NEW.link_type := coalesce(NEW.link_type, NEW.reason);
    END IF;
    NEW.reason := NEW.link_type;
    RETURN NEW;
END $$;

CREATE TRIGGER tr_school_links_type_insert BEFORE INSERT ON school_links
    FOR EACH ROW EXECUTE FUNCTION school_links_keep_type();
CREATE TRIGGER tr_school_links_type_update BEFORE UPDATE OF reason, link_type ON school_links
    FOR EACH ROW EXECUTE FUNCTION school_links_keep_type();
