-- Loses the details and fees of private schools.
DROP TABLE private_school_fees;
DROP TABLE private_school_details;
