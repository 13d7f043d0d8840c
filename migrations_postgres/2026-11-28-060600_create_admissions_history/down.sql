-- Loses the history of admissions.
DROP TABLE admissions_history;
