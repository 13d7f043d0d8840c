DROP TRIGGER tr_admissions_reach_truncate ON admissions_history;
DROP FUNCTION admissions_reach_empty();
