-- Loses every school.
DROP TABLE schools;
DROP TABLE folded_names;
