//! What the fuzzer asks of a login.

use tokio_postgres::Error;

use super::{errors, wire};
use crate::document::Document;

/// The stream of a login whose messages are read.
pub fn watched<S>(stream: S) -> impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    wire::Watched::new(stream, Default::default())
}

/// The text of a login's error.
pub fn error_text(error: &Error, document: &Document) -> String {
    errors::of_login(error, document).to_string()
}
