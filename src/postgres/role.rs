//! What a server is among others: the primary or a standby, and how far behind.

use std::time::Duration;

use diesel::sql_types::{BigInt, Bool, Nullable};
use diesel_async::AsyncPgConnection;
use tokio_postgres::SimpleQueryMessage;

use super::run::{ConstantQuery, RunQueryDsl};
use crate::config::server::SessionTarget;
use crate::error::{ConnectError, Error, Result};

/// Returns the columns of [`Role`]. A standby hears from its primary at least once in half of `wal_receiver_timeout`,
/// and asks for it where nothing is written. What it received and did not apply makes it as old as the last transaction
/// that it applied, or else as its start. The lag is NULL where no process receives, or the role may not see it.
pub(super) const QUERY: &str = "
    SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on',
        pg_has_role('pg_read_all_stats', 'USAGE'),
        CASE WHEN pg_is_in_recovery() THEN (
            SELECT (1000 * extract(epoch FROM greatest(
                interval '0',
                clock_timestamp() - last_msg_receipt_time - current_setting('wal_receiver_timeout')::interval / 2,
                CASE WHEN pg_last_wal_replay_lsn() < pg_last_wal_receive_lsn()
                    THEN clock_timestamp() - coalesce(pg_last_xact_replay_timestamp(), pg_postmaster_start_time()) END
            )))::bigint
            FROM pg_stat_wal_receiver WHERE last_msg_receipt_time IS NOT NULL
        ) ELSE 0 END";

/// The role of a server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Role {
    /// Whether it is in recovery: a standby.
    pub(super) is_standby: bool,
    /// Whether its transactions are read-only by default, as they are on a standby.
    is_read_only: bool,
    /// Whether the role of the connection may see the lag.
    sees_lag: bool,
    /// How far it is behind its primary; `None` where it follows none, or the lag may not be seen.
    pub(super) lag: Option<Duration>,
}

/// Why a server is not what a connection needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misfit {
    /// It accepts no writes.
    NoPrimary,
    /// It is no standby.
    NoStandby,
    /// It follows no primary.
    Unfollowing,
    /// It is too far behind its primary.
    Behind(Duration),
    /// Whether it is behind may not be seen.
    Hidden,
}

impl From<Misfit> for Error {
    fn from(misfit: Misfit) -> Self {
        let no_standby = |reason| ConnectError::NoStandby { reason }.into();
        match misfit {
            Misfit::NoPrimary => Self::NotPrimary,
            Misfit::NoStandby => no_standby("it is a primary".to_owned()),
            Misfit::Unfollowing => no_standby("it follows no primary".to_owned()),
            Misfit::Behind(lag) => no_standby(format!("it is {} s behind its primary", lag.as_secs())),
            Misfit::Hidden => Self::PermissionDenied {
                reason: "max_lag needs an administrator's `GRANT pg_read_all_stats TO` this role".to_owned(),
            },
        }
    }
}

impl Role {
    /// Asks for the role of a connection's server.
    pub(super) async fn of(connection: &mut AsyncPgConnection) -> Result<Self> {
        let query = ConstantQuery::<(Bool, Bool, Bool, Nullable<BigInt>)>::new(QUERY);
        let (is_standby, is_read_only, sees_lag, lag): (_, _, _, Option<i64>) = query.get_result(connection).await?;
        Ok(Self { is_standby, is_read_only, sees_lag, lag: lag.map(milliseconds) })
    }

    /// Returns the role in the answer to [`QUERY`] as text.
    pub(super) fn first_of(answer: &[SimpleQueryMessage]) -> Option<Self> {
        let row = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        })?;
        let is = |column| row.get(column) == Some("t");
        let lag = row.get(3).and_then(|text| text.parse().ok()).map(milliseconds);
        Some(Self { is_standby: is(0), is_read_only: is(1), sees_lag: is(2), lag })
    }

    /// Returns why the server is not what a connection needs, if so.
    pub(super) fn misfit(&self, target: SessionTarget, max_lag: Option<Duration>) -> Option<Misfit> {
        match target {
            SessionTarget::Primary if self.is_standby => return Some(Misfit::NoPrimary),
            SessionTarget::ReadWrite if self.is_read_only => return Some(Misfit::NoPrimary),
            SessionTarget::Standby if !self.is_standby => return Some(Misfit::NoStandby),
            SessionTarget::ReadOnly if !self.is_read_only => return Some(Misfit::NoStandby),
            _ => {}
        }
        let max_lag = max_lag.filter(|_| self.is_standby)?;
        match self.lag {
            _ if !self.sees_lag => Some(Misfit::Hidden),
            None => Some(Misfit::Unfollowing),
            Some(lag) if lag > max_lag => Some(Misfit::Behind(lag)),
            Some(_) => None,
        }
    }
}

fn milliseconds(lag: i64) -> Duration {
    Duration::from_millis(u64::try_from(lag).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use SessionTarget::{Any, PreferStandby, Primary, ReadOnly, ReadWrite, Standby};

    use super::*;

    #[test]
    fn a_server_fits_by_its_role_and_lag() {
        let lag = |seconds| Some(Duration::from_secs(seconds));
        let primary = Role { is_standby: false, is_read_only: false, sees_lag: false, lag: lag(0) };
        let locked = Role { is_read_only: true, ..primary };
        let standby = Role { is_standby: true, is_read_only: true, sees_lag: true, lag: lag(3) };
        let (alone, hidden) = (Role { lag: None, ..standby }, Role { lag: None, sees_lag: false, ..standby });
        for (role, fits) in [
            (primary, [Any, ReadWrite, Primary, PreferStandby].as_slice()),
            (locked, &[Any, ReadOnly, Primary, PreferStandby]),
            (standby, &[Any, ReadOnly, Standby, PreferStandby]),
        ] {
            for target in [Any, ReadWrite, ReadOnly, Primary, Standby, PreferStandby] {
                for max_lag in [None, lag(3)] {
                    let misfit = role.misfit(target, max_lag);
                    assert_eq!(misfit.is_none(), fits.contains(&target), "{role:?}: {target:?}: {misfit:?}");
                }
            }
        }
        assert_eq!(standby.misfit(Any, lag(2)), Some(Misfit::Behind(Duration::from_secs(3))));
        assert_eq!(alone.misfit(Any, lag(2)), Some(Misfit::Unfollowing));
        assert_eq!(hidden.misfit(Any, lag(2)), Some(Misfit::Hidden));
        assert_eq!(hidden.misfit(Any, None), None);
    }
}
