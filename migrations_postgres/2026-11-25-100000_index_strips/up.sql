-- Where schools stand, for circles: strips of a hundredth of a degree of latitude (1.1 km), and along each from west to
-- east. With the places stand the facts that most searches ask about, so that the wide rows of schools that do not make
-- the page are never read. Keep the expression in step with `InBox` in src/postgres/functions.rs. A statement of its own,
-- outside of any transaction, so that nobody who writes has to wait.
CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_schools_strip ON schools ((floor((lat + 90) * 100)::INTEGER), lng)
    INCLUDE (lat, id, status, phase, ofsted_rating, is_private, age_range_from, age_range_to);
