DROP TABLE private_school_fees;
DROP TABLE private_school_details;
