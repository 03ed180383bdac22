//! What an answer of the server, or a missing answer, means: sorted by what an operator must do about it.

use std::{error::Error as _, io};

use tokio_postgres::{Error, error::SqlState};

use crate::{document::Document, engine::EngineError};

/// The purpose of a statement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doing<'a> {
    /// Such as `alter app`.
    pub(super) action: &'a str,
    /// The SQL that grants an administrator what is missing.
    pub(super) cure: &'a str,
}

impl<'a> Doing<'a> {
    /// A purpose that needs no right that could be granted.
    pub(super) const fn new(action: &'a str) -> Self {
        Self { action, cure: "" }
    }
}

/// A question to the catalogs.
pub(super) const READS: Doing<'static> = Doing::new("read the catalogs");

/// Sorts a failed login. Nothing here means "wrong password".
pub(super) fn of_login(error: &Error, document: &Document) -> EngineError {
    let server = document.server();
    if let Some(answer) = error.as_db_error() {
        let message = answer.message().to_owned();
        return if *answer.code() == SqlState::INVALID_AUTHORIZATION_SPECIFICATION {
            EngineError::LoginForbidden {
                server,
                user: document.username().to_owned(),
                message,
            }
        } else {
            EngineError::Refused {
                server,
                code: answer.code().code().to_owned(),
                message,
            }
        };
    }
    let reason = innermost(error);
    match (error.source(), error.to_string().as_str()) {
        // the driver has no error kinds for these; tests/errors/database.rs checks its texts
        (Some(cause), _) if cause.to_string() == "server does not support TLS" => {
            EngineError::TlsRefused { server }
        }
        _ if reason == "server did not use channel binding" => EngineError::NoChannelBinding {
            server,
            user: document.username().to_owned(),
        },
        (Some(cause), "error performing TLS handshake") if is_of_tls(cause) => {
            EngineError::CertificateInvalid { server, reason }
        }
        _ => EngineError::Unreachable { server, reason },
    }
}

/// Whether TLS itself failed, and not the connection below it.
fn is_of_tls(cause: &(dyn std::error::Error + 'static)) -> bool {
    let cause = cause.downcast_ref::<io::Error>();
    cause.is_none_or(|cause| {
        cause
            .get_ref()
            .is_some_and(|cause| cause.is::<rustls::Error>())
    })
}

/// The last cause: there rustls and the operating system say what was wrong.
fn innermost(error: &Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
