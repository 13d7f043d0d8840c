DROP VIEW admissions_reach;
DROP TABLE admissions_history;
