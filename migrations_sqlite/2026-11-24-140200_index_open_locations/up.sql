-- Postgres gets an index of where open schools stand. SQLite's R*Tree takes no condition, and nothing is to be done.
SELECT 1;
