-- Loses how often each school was changed.
ALTER TABLE schools DROP COLUMN version;
