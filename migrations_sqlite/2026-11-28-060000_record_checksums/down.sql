DROP TRIGGER tr_migration_checksums_reverted;
DROP TABLE migration_checksums;
