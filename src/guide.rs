//! How to use the crate, one subject per page. The examples run as documentation tests.
#![cfg_attr(docsrs, doc(auto_cfg = false))]

#[doc = include_str!("guide/backends.md")]
pub mod backends {}

#[doc = include_str!("guide/distances.md")]
pub mod distances {}

#[doc = include_str!("guide/pages.md")]
pub mod pages {}

#[doc = include_str!("guide/migrations.md")]
pub mod migrations {}

// Its example needs axum, so examples/web_service runs it.
#[cfg_attr(not(doctest), doc = include_str!("guide/service.md"))]
pub mod service {}

#[cfg(feature = "testing")]
#[doc = include_str!("guide/tests.md")]
pub mod tests {}
