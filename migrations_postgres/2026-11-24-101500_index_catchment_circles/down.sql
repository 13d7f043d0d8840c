DROP INDEX ix_schools_catchment_circle;
ALTER TABLE schools DROP COLUMN catchment_circle;
DROP FUNCTION catchment_circle_box;
