-- Loses every postcode.
DROP TABLE postcodes;
