-- Loses every school.
-- The extension stays: other tables may use it, and only its owner may drop it.
DROP TABLE schools;
DROP FUNCTION schools_check_fold;
DROP TABLE folded_names;
DROP FUNCTION catchment_circle_box;
DROP FUNCTION haversine;
