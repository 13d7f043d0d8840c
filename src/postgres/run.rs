//! Runs queries, as `diesel_async::RunQueryDsl` does, with boxed futures.
//!
//! The type of a diesel-async future contains the type of its query. In each function that awaits it, rustc proves
//! again that the future is `Send`. In a function that awaits eight queries this takes seconds. Behind a box it is
//! proved once, here.

use std::marker::PhantomData;

use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::query_dsl::methods::LimitDsl;
use diesel_async::AsyncPgConnection;
use diesel_async::methods::{ExecuteDsl, LoadQuery};
use futures_util::future::BoxFuture;

/// The methods of diesel-async's trait that this crate uses, with the same meaning.
pub(super) trait RunQueryDsl: Sized {
    /// Loads all rows.
    fn load<'a, U>(self, connection: &'a mut AsyncPgConnection) -> BoxFuture<'a, QueryResult<Vec<U>>>
    where
        Self: LoadQuery<'a, AsyncPgConnection, U> + Send + 'a,
        U: Send + 'a,
    {
        Box::pin(diesel_async::RunQueryDsl::load(self, connection))
    }

    /// Loads the only row of a query.
    fn get_result<'a, U>(self, connection: &'a mut AsyncPgConnection) -> BoxFuture<'a, QueryResult<U>>
    where
        Self: LoadQuery<'a, AsyncPgConnection, U> + Send + 'a,
        U: Send + 'a,
    {
        Box::pin(diesel_async::RunQueryDsl::get_result(self, connection))
    }

    /// Loads the first row.
    fn first<'a, U>(self, connection: &'a mut AsyncPgConnection) -> BoxFuture<'a, QueryResult<U>>
    where
        Self: LimitDsl,
        Self::Output: LoadQuery<'a, AsyncPgConnection, U> + Send + 'a,
        U: Send + 'a,
    {
        RunQueryDsl::get_result(self.limit(1), connection)
    }

    /// Runs a statement, and returns how many rows it changed.
    fn execute<'a>(self, connection: &'a mut AsyncPgConnection) -> BoxFuture<'a, QueryResult<usize>>
    where
        Self: ExecuteDsl<AsyncPgConnection> + Send + 'a,
    {
        Box::pin(diesel_async::RunQueryDsl::execute(self, connection))
    }
}

impl<Query> RunQueryDsl for Query {}

/// A query whose text is a constant, with columns of these types. A connection prepares it once; it would prepare one of
/// `diesel::sql_query` each time.
pub(super) struct ConstantQuery<S>(&'static str, PhantomData<S>);

impl<S> ConstantQuery<S> {
    pub(super) const fn new(sql: &'static str) -> Self {
        Self(sql, PhantomData)
    }
}

impl<S> QueryFragment<Pg> for ConstantQuery<S> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(self.0);
        Ok(())
    }
}

impl<S> QueryId for ConstantQuery<S> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<S> Query for ConstantQuery<S> {
    type SqlType = S;
}
