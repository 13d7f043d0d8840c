-- The great-circle distance in kilometres, the twin of `geo::haversine`: the same operations in the same order. NULL
-- where an argument is NULL, infinite or not a number, which is when the sum is: LEAST would pass over a NULL, and it
-- would take a NaN for more than 1.
--
-- Not STRICT, since a strict function with a CASE is never inlined, and only an inlined one is planned at its true
-- price. The body is parsed here and now, so that no search_path can change what it calls.
CREATE FUNCTION haversine(
    lat1 DOUBLE PRECISION, lng1 DOUBLE PRECISION, lat2 DOUBLE PRECISION, lng2 DOUBLE PRECISION
) RETURNS DOUBLE PRECISION
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN abs(lat1 + lng1 + lat2 + lng2) < 'Infinity'::DOUBLE PRECISION THEN
    2.0::DOUBLE PRECISION * 6371.0::DOUBLE PRECISION * asin(least(sqrt(
        sin(radians(lat2 - lat1) / 2.0::DOUBLE PRECISION) * sin(radians(lat2 - lat1) / 2.0::DOUBLE PRECISION)
        + cos(radians(lat1)) * cos(radians(lat2))
            * sin(radians(lng2 - lng1) / 2.0::DOUBLE PRECISION) * sin(radians(lng2 - lng1) / 2.0::DOUBLE PRECISION)
    ), 1.0::DOUBLE PRECISION))
END;

-- Where schools stand, for candidates: `haversine` decides. Off the earth there is no location, so that ck_coordinates
-- answers and not the cast, which moves such a place somewhere else.
ALTER TABLE schools ADD COLUMN location geography(Point, 4326) GENERATED ALWAYS AS (
    CASE WHEN lat BETWEEN -90 AND 90 AND lng BETWEEN -180 AND 180 THEN
        ST_SetSRID(ST_MakePoint(lng, lat), 4326)::geography
    END
) STORED;

CREATE INDEX ix_schools_location ON schools USING gist (location);
