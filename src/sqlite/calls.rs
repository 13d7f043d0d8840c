//! How queries run on the connections of a repository.

/// Runs one of the queries that read.
macro_rules! read {
    ($repository:ident, $query:ident $(, $argument:expr)*) => {{
        let call = $repository.connections.ask(move |connection| queries::$query(connection $(, $argument)*));
        observe(BACKEND, stringify!($query), $repository.slow_query(), call).await
    }};
}

/// Runs one of the queries that write.
macro_rules! write {
    ($repository:ident, $query:ident $(, $argument:expr)*) => {{
        let call = $repository.run(move |connection| queries::$query(connection $(, $argument)*));
        observe(BACKEND, stringify!($query), $repository.slow_query(), call).await
    }};
}

/// As `write!`, for what a stream gives: it is as slow as its source.
macro_rules! write_stream {
    ($repository:ident, $query:ident $(, $argument:expr)*) => {{
        let call = $repository.run(move |connection| queries::$query(connection $(, $argument)*));
        observe(BACKEND, stringify!($query), std::time::Duration::MAX, call).await
    }};
}

pub(super) use {read, write, write_stream};
