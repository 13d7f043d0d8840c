DROP INDEX CONCURRENTLY IF EXISTS ix_schools_open_location;
