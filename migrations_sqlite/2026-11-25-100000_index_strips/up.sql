-- Where schools stand, for circles: strips of a hundredth of a degree of latitude (1.1 km), and along each from west to
-- east. With the places stand the facts that most searches ask about, so that the wide rows of schools that do not make
-- the page are never read. Keep the expression, to the letter, in step with `InBox` in src/sqlite/functions.rs.
CREATE INDEX ix_schools_strip ON schools (
    CAST((lat + 90) * 100 AS INTEGER), lng, lat, status, phase, ofsted_rating, is_private, age_range_from, age_range_to
);
