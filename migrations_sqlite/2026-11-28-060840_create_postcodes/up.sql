-- The places of postcodes, as published. There are millions, so a row is in the index of its key and nowhere else.
CREATE TABLE postcodes (
    -- Seven characters: the outcode, filled up with blanks to four, and the other three. So the postcodes of an area,
    -- an outcode or a sector are neighbours: `MK9 3EP` and `M1  1AE`.
    postcode TEXT NOT NULL PRIMARY KEY
        CONSTRAINT ck_postcodes_postcode CHECK (typeof(postcode) = 'text' AND length(postcode) = 7),
    lat DOUBLE NOT NULL
        CONSTRAINT ck_postcodes_lat CHECK (typeof(lat) = 'real' AND lat BETWEEN -90 AND 90),
    lng DOUBLE NOT NULL
        CONSTRAINT ck_postcodes_lng CHECK (typeof(lng) = 'real' AND lng BETWEEN -180 AND 180),
    -- How far a home may be from that place.
    uncertainty_m SMALLINT NOT NULL
        CONSTRAINT ck_postcodes_uncertainty CHECK (
            typeof(uncertainty_m) = 'integer' AND uncertainty_m BETWEEN 1 AND 32767
        ),
    -- The first day of the month in which it was ended.
    terminated_on DATE
        CONSTRAINT ck_postcodes_terminated_on CHECK (
            typeof(terminated_on) IN ('text', 'null') AND terminated_on IS date(terminated_on, '+0 days')
        ),
    -- Whether the newest file of its area lacks it.
    is_withdrawn BOOLEAN NOT NULL
        CONSTRAINT ck_postcodes_is_withdrawn CHECK (typeof(is_withdrawn) = 'integer' AND is_withdrawn IN (0, 1)),
    CONSTRAINT ck_postcodes_place CHECK (lat <> 0 OR lng <> 0)
) WITHOUT ROWID;
