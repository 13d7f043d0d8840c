-- The rows come from admissions_history, so nothing is lost.
DROP TRIGGER tr_admissions_reach_update;
DROP TRIGGER tr_admissions_reach_delete;
DROP TRIGGER tr_admissions_reach_insert;
DROP TRIGGER tr_admissions_reach_replace;
DROP TABLE admissions_reach;
DROP VIEW admissions_by_recency;
DROP VIEW admissions_evidence;
