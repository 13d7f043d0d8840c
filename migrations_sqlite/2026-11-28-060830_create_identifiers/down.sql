-- Loses every school's other identifiers.
DROP TABLE school_identifiers;
