-- Loses the history of admissions.
DROP VIEW admissions_by_recency;
DROP TABLE admissions_history;
DROP TABLE admissions_reach;
