DROP INDEX ix_schools_strip;
