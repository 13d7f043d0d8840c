-- Loses what the costs of clubs are for.
ALTER TABLE school_clubs DROP COLUMN cost_per;
