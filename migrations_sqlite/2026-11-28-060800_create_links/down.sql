-- Loses every link between schools.
DROP TRIGGER tr_school_links_new_urn;
DROP TRIGGER tr_school_links_new_school;
DROP TABLE school_links;
