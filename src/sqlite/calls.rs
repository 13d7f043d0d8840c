//! Macros that run queries on the connections of a repository.

/// Runs a query that reads.
macro_rules! read {
    ($repository:ident, $query:ident $(, $argument:expr)*) => {{
        let call = $repository.connections.read(move |connection| queries::$query(connection $(, $argument)*));
        observe(BACKEND, stringify!($query), $repository.slow_query(), call).await
    }};
}

/// Runs a query that writes.
macro_rules! write {
    ($repository:ident, $query:ident $(, $argument:expr)*) => {{
        let call = $repository.write(move |connection| queries::$query(connection $(, $argument)*));
        observe(BACKEND, stringify!($query), $repository.slow_query(), call).await
    }};
}

/// Runs a query that writes what a stream yields, like `write!`. It is as slow as the stream's source.
macro_rules! write_stream {
    ($repository:ident, $query:ident $(, $argument:expr)*) => {{
        let call = $repository.write(move |connection| queries::$query(connection $(, $argument)*));
        observe(BACKEND, stringify!($query), std::time::Duration::MAX, call).await
    }};
}

pub(super) use {read, write, write_stream};
