//! Text of the catalogs that may not be UTF-8.
//!
//! Roles, databases and their settings belong to the whole server, and are written in the encoding of the database where someone made
//! them. So one database's owner must not keep the function from reading what concerns another.

use std::error::Error;

use tokio_postgres::types::{FromSql, Type};

/// Text, or the bytes of a text, in which this character stands for what is not UTF-8.
pub(super) const UNREADABLE: char = char::REPLACEMENT_CHARACTER;

#[derive(Debug)]
pub(super) struct Text(pub(super) String);

impl FromSql<'_> for Text {
    fn from_sql(_: &Type, raw: &[u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(String::from_utf8_lossy(raw).into_owned()))
    }

    fn accepts(of: &Type) -> bool {
        [Type::TEXT, Type::BYTEA].contains(of)
    }
}
