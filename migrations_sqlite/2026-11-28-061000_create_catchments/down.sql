-- The boxes come from schools, so nothing is lost.
DROP TRIGGER tr_schools_catchment_delete;
DROP TRIGGER tr_schools_catchment_update;
DROP TRIGGER tr_schools_catchment_replace;
DROP TRIGGER tr_schools_catchment_insert;
DROP VIEW schools_catchment_box;
DROP VIEW schools_catchment_circle;
DROP TABLE schools_catchment;
