-- Predecessors and successors of schools, as the register has them.
CREATE TABLE school_links (
    id INTEGER NOT NULL PRIMARY KEY,
    -- The school that has the link, and the one that it names: both by URN, since many of them closed long ago and have
    -- no row, and by id where they have one. Only triggers write the ids.
    school_id BIGINT
        CONSTRAINT fk_school_links_school REFERENCES schools (id) ON DELETE CASCADE,
    urn INTEGER NOT NULL
        CONSTRAINT ck_link_urn CHECK (typeof(urn) = 'integer' AND urn BETWEEN 1 AND 9999999),
    linked_school_id BIGINT
        CONSTRAINT fk_school_links_linked_school REFERENCES schools (id) ON DELETE SET NULL,
    linked_urn INTEGER NOT NULL
        CONSTRAINT ck_link_linked_urn CHECK (
            typeof(linked_urn) = 'integer' AND linked_urn BETWEEN 1 AND 9999999 AND linked_urn <> urn
        ),
    linked_name TEXT
        CONSTRAINT ck_link_linked_name CHECK (
            typeof(linked_name) IN ('text', 'null') AND length(linked_name) BETWEEN 1 AND 200
        ),
    -- Whether the linked school came before this one or after it.
    kind TEXT NOT NULL
        CONSTRAINT ck_link_kind CHECK (kind IN ('predecessor', 'successor', 'merged', 'other')),
    linked_on DATE
        CONSTRAINT ck_link_linked_on CHECK (
            typeof(linked_on) IN ('text', 'null') AND linked_on IS date(linked_on, '+0 days')
        ),
    -- The register's own name for it, such as 'Successor - amalgamated'.
    link_type TEXT
        CONSTRAINT ck_link_type CHECK (typeof(link_type) IN ('text', 'null') AND length(link_type) BETWEEN 1 AND 200),
    CONSTRAINT uq_school_links UNIQUE (urn, linked_urn, kind)
);

CREATE INDEX ix_school_links_school ON school_links (school_id);
CREATE INDEX ix_school_links_linked_school ON school_links (linked_school_id);
CREATE INDEX ix_school_links_linked_urn ON school_links (linked_urn, kind);

CREATE TRIGGER tr_school_links_insert AFTER INSERT ON school_links BEGIN
    UPDATE school_links
        SET school_id = (SELECT id FROM schools WHERE urn = NEW.urn),
            linked_school_id = (SELECT id FROM schools WHERE urn = NEW.linked_urn)
        WHERE id = NEW.id;
END;

CREATE TRIGGER tr_school_links_update AFTER UPDATE OF urn, linked_urn ON school_links BEGIN
    UPDATE school_links
        SET school_id = (SELECT id FROM schools WHERE urn = NEW.urn),
            linked_school_id = (SELECT id FROM schools WHERE urn = NEW.linked_urn)
        WHERE id = NEW.id;
END;

CREATE TRIGGER tr_school_links_new_school AFTER INSERT ON schools BEGIN
    UPDATE school_links SET school_id = NEW.id WHERE urn = NEW.urn;
    UPDATE school_links SET linked_school_id = NEW.id WHERE linked_urn = NEW.urn;
END;

CREATE TRIGGER tr_school_links_new_urn AFTER UPDATE OF urn ON schools WHEN NEW.urn <> OLD.urn BEGIN
    UPDATE school_links SET school_id = (SELECT id FROM schools WHERE schools.urn = school_links.urn)
        WHERE urn IN (OLD.urn, NEW.urn);
    UPDATE school_links SET linked_school_id = (SELECT id FROM schools WHERE schools.urn = school_links.linked_urn)
        WHERE linked_urn IN (OLD.urn, NEW.urn);
END;
