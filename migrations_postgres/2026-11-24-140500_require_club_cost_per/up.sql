-- The third step. What a program that does not know of the column wrote in between is filled first; from now on the default
-- does that. With a constraint that was validated Postgres need not look at the rows again to know that none is NULL. The
-- table is small and all of this is one transaction, which holds its lock to the end: for a large one see docs/migrations.md.
ALTER TABLE school_clubs ALTER COLUMN cost_per SET DEFAULT 'day';
UPDATE school_clubs SET cost_per = 'day' WHERE cost_per IS NULL;
ALTER TABLE school_clubs ADD CONSTRAINT ck_club_cost_per_known CHECK (cost_per IS NOT NULL) NOT VALID;
ALTER TABLE school_clubs VALIDATE CONSTRAINT ck_club_cost_per_known;
ALTER TABLE school_clubs ALTER COLUMN cost_per SET NOT NULL;
ALTER TABLE school_clubs DROP CONSTRAINT ck_club_cost_per_known;
