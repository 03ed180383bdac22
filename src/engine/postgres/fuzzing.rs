//! What the fuzzer asks of a login.

use tokio_postgres::Error;

use super::{errors, wire};
use crate::document::Document;

/// The stream of a login that is read along.
pub fn watched<S>(stream: S) -> impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    wire::Watched::new(stream, Default::default())
}

/// What an error of the login says.
pub fn told(error: &Error, document: &Document) -> String {
    errors::of_login(error, document).to_string()
}
