DROP INDEX ix_schools_catchment_geometry;
DROP INDEX ix_schools_catchment;
