DROP TRIGGER tr_school_links_type_update;
DROP TRIGGER tr_school_links_type_insert;
ALTER TABLE school_links DROP COLUMN link_type;
