ALTER TABLE schools DROP CONSTRAINT ck_positive_radius;
ALTER TABLE schools
    ADD CONSTRAINT ck_positive_radius CHECK (catchment_radius_km > 0 AND catchment_radius_km <= 20037.6);
