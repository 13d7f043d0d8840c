//! The pages of a search as a stream.

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

use crate::error::Result;
use crate::request::{Page, SchoolSearch};

/// Returns the pages of a search, each found by `find` after the cursor of the one before it.
pub(super) fn pages<'a, T, F>(
    search: SchoolSearch,
    find: impl Fn(SchoolSearch) -> F + Send + 'a,
) -> BoxStream<'a, Result<Page<T>>>
where
    T: Send + 'a,
    F: Future<Output = Result<Page<T>>> + Send + 'a,
{
    let after = move |search: Option<SchoolSearch>| {
        let found = search.map(|search| (find(search.clone()), search));
        async move {
            let Some((page, search)) = found else { return Ok(None) };
            let page = page.await?;
            let next = page.next.clone().map(|next| search.after(next));
            Ok(Some((page, next)))
        }
    };
    stream::try_unfold(Some(search), after).boxed()
}
