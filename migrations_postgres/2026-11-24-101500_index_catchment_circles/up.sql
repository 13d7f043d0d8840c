-- The box round a circle, in degrees, a little wider than it need be; the twin of SQLite's view schools_catchment_circle.
-- On its way from the centre a place gains at most the circle's own angle of latitude, and a parallel at latitude x is
-- 1 - x / 90 of the equator long, or longer. A circle near a pole, or over the dateline, is boxed all the way round.
--
-- One expression, since only such a function is inlined, and not STRICT, for the same reason.
CREATE FUNCTION catchment_circle_box(lat DOUBLE PRECISION, lng DOUBLE PRECISION, radius_km DOUBLE PRECISION)
RETURNS geometry
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ST_Expand(
    ST_SetSRID(ST_MakePoint(lng, lat), 4326),
    CASE
        WHEN abs(lat) + (radius_km / 111.19 + 0.00001) >= 89 THEN 360
        WHEN abs(lng) + (radius_km / 111.19 + 0.00001) / (1 - (abs(lat) + (radius_km / 111.19 + 0.00001)) / 90) > 180 THEN 360
        ELSE (radius_km / 111.19 + 0.00001) / (1 - (abs(lat) + (radius_km / 111.19 + 0.00001)) / 90)
    END,
    radius_km / 111.19 + 0.00001
);

-- Where there is an outline it alone counts, and the radius does not.
ALTER TABLE schools ADD COLUMN catchment_circle geometry(Polygon, 4326) GENERATED ALWAYS AS (
    CASE WHEN catchment_geometry IS NULL THEN catchment_circle_box(lat, lng, catchment_radius_km) END
) STORED;

CREATE INDEX ix_schools_catchment_circle ON schools USING gist (catchment_circle);
