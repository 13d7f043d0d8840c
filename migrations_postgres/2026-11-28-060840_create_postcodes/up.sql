-- The places of postcodes, as published.
CREATE TABLE postcodes (
    -- Seven characters: the outcode, filled up with blanks to four, and the other three. So the postcodes of an area,
    -- an outcode or a sector are neighbours: `MK9 3EP` and `M1  1AE`. COLLATE "C", so that the index of the key serves
    -- a range of them.
    postcode TEXT COLLATE "C" NOT NULL PRIMARY KEY
        CONSTRAINT ck_postcodes_postcode CHECK (length(postcode) = 7),
    lat DOUBLE PRECISION NOT NULL
        CONSTRAINT ck_postcodes_lat CHECK (lat BETWEEN -90 AND 90),
    lng DOUBLE PRECISION NOT NULL
        CONSTRAINT ck_postcodes_lng CHECK (lng BETWEEN -180 AND 180),
    -- How far a home may be from that place.
    uncertainty_m SMALLINT NOT NULL
        CONSTRAINT ck_postcodes_uncertainty CHECK (uncertainty_m BETWEEN 1 AND 32767),
    -- The first day of the month in which it was ended.
    terminated_on DATE
        CONSTRAINT ck_postcodes_terminated_on CHECK (terminated_on BETWEEN '0001-01-01' AND '9999-12-31'),
    -- Whether the newest file of its area lacks it.
    is_withdrawn BOOLEAN NOT NULL,
    CONSTRAINT ck_postcodes_place CHECK (lat <> 0 OR lng <> 0)
);
