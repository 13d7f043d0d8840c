-- Loses every offer by criteria other than distance.
DROP TABLE admissions_criteria;
