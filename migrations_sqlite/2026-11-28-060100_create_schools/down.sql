-- Loses every school.
DROP TABLE schools;
