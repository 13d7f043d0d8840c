-- The second step: until now a cost was what a day costs.
UPDATE school_clubs SET cost_per = 'day' WHERE cost_per IS NULL;
