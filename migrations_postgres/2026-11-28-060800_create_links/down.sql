-- Loses every link between schools.
DROP TRIGGER tr_school_links_new_urn ON schools;
DROP TRIGGER tr_school_links_new_school ON schools;
DROP TABLE school_links;
DROP FUNCTION school_links_follow_urn;
DROP FUNCTION school_links_find_new_schools;
DROP FUNCTION school_links_find_schools;
