-- Loses every school's phase.
DROP INDEX ix_schools_open_phase_name;
ALTER TABLE schools DROP COLUMN phase;
