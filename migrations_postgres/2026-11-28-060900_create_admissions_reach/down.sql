-- The rows come from admissions_history, so nothing is lost.
DROP TRIGGER tr_admissions_reach_truncate ON admissions_history;
DROP TRIGGER tr_admissions_reach_update_old ON admissions_history;
DROP TRIGGER tr_admissions_reach_update ON admissions_history;
DROP TRIGGER tr_admissions_reach_delete ON admissions_history;
DROP TRIGGER tr_admissions_reach_insert ON admissions_history;
DROP FUNCTION admissions_reach_empty;
DROP FUNCTION admissions_reach_keep;
DROP TABLE admissions_reach;
DROP VIEW admissions_by_recency;
DROP VIEW admissions_evidence;
