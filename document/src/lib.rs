//! The JSON document of a secret that rotates, as people really write it: one reading of it, for the function that rotates, the client
//! that logs in and the operator who asks what is wrong.
//!
//! RDS's format has a dozen known keys, and applications add their own. So the text is kept as it is, and what is changed is replaced in
//! it; the few fields that anybody needs are read out once and typed. The text is wiped when it is dropped, and no Debug shows a
//! value.
//!
//! | item | what |
//! |---|---|
//! | [`Fields`] | what any text has of a credential, field by field, under RDS's names or others ([`FieldNames`]) |
//! | `Document` | a whole credential: a login, or a service's API key. It is written back. Feature `requests` |
//! | `table` | documents as people write them, with their right reading. Feature `table` |
//!
//! For what is optional, not there, `null` and `""` are the same. `ssl` is false only where the document says so.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "requests")]
mod document;
mod error;
mod fields;
mod host;
#[cfg_attr(
    not(feature = "requests"),
    allow(dead_code, reason = "who only reads changes nothing")
)]
mod object;
mod overlap;
#[cfg(feature = "requests")]
mod pair;
mod read;
#[cfg(feature = "requests")]
mod requests;
mod strategy;
#[cfg(feature = "table")]
pub mod table;
#[cfg(feature = "requests")]
mod url;
#[cfg(feature = "requests")]
mod whole;

pub use error::{DocumentError, shown_engine};
pub use fields::{DEFAULT_DATABASE, DEFAULT_PORT, FieldNames, Fields};
pub use overlap::Overlap;
pub use strategy::Strategy;
#[cfg(feature = "requests")]
pub use {
    document::{Document, ENGINES, Login},
    pair::Pair,
    requests::{Api, Request},
    url::{address, is_segment},
};
