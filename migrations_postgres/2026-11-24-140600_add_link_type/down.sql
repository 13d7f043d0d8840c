DROP TRIGGER tr_school_links_type_update ON school_links;
DROP TRIGGER tr_school_links_type_insert ON school_links;
DROP FUNCTION school_links_keep_type;
ALTER TABLE school_links DROP COLUMN link_type;
