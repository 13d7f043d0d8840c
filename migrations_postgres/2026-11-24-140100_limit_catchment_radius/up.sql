-- No two places on the sphere of `haversine` lie farther apart than half its circumference, 20,015.1 km: a catchment's
-- radius was let up to half the earth's equator. A larger one means everywhere, and so does that.
ALTER TABLE schools DROP CONSTRAINT ck_positive_radius;
UPDATE schools SET catchment_radius_km = 20015.1 WHERE catchment_radius_km > 20015.1;
ALTER TABLE schools
    ADD CONSTRAINT ck_positive_radius CHECK (catchment_radius_km > 0 AND catchment_radius_km <= 20015.1);
