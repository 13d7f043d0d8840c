-- What a club's cost is for. The first of three steps (docs/migrations.md): the column may be NULL, so that it is there at
-- once and a program that does not know of it goes on writing.
ALTER TABLE school_clubs ADD COLUMN cost_per TEXT
    CONSTRAINT ck_club_cost_per CHECK (cost_per IN ('day', 'week', 'term'));
