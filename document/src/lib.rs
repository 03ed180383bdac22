//! The JSON document of a secret that rotates, as people really write it: one way to read it, for the function that rotates,
//! the client that logs in and the operator who looks for a fault.
//!
//! RDS's format has a dozen known keys, and applications add their own. So the text is kept, and only changed values are
//! replaced in it; the few fields that are needed are read once and typed. The text is wiped when it is dropped, and no Debug
//! shows a value.
//!
//! | item | what |
//! |---|---|
//! | [`Fields`] | the fields of a credential that a text has, one by one, under RDS's names or others ([`FieldNames`]) |
//! | `Document` | a whole credential: a login, or a service's API key. It is written back. Feature `requests` |
//! | `table` | documents as people write them, with their right reading. Feature `table` |
//!
//! For an optional field, missing, `null` and `""` are the same. `ssl` is false only if the document says so.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "requests")]
mod document;
mod duration;
mod error;
mod fields;
mod host;
#[cfg_attr(
    not(feature = "requests"),
    allow(dead_code, reason = "a reader changes nothing")
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

pub use duration::duration;
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
