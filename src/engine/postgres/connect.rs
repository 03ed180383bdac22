//! A login, and what the server's answer to it means.
//!
//! The three connections (TCP, TLS, login) are made apart, because what failed decides what is said: a host
//! that cannot be reached says nothing about a password.

use std::{
    error::Error as _,
    sync::{Arc, Mutex, atomic::Ordering},
};

use secrecy::ExposeSecret;
use tokio::{net::TcpStream, task::JoinHandle, time::timeout};
use tokio_postgres::{
    Client, Config, SimpleQueryMessage,
    config::SslMode,
    error::SqlState,
    tls::{MakeTlsConnect, NoTls, TlsConnect},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Postgres, kept::lock};
use crate::{
    document::Document,
    engine::{EngineError, Login},
};

/// A session that is logged in. Dropping it closes it.
#[derive(Debug)]
pub struct Session {
    pub(super) client: Client,
    pub(super) server: String,
    pub(super) user: String,
    pub(super) standby: bool,
    connection: Option<JoinHandle<()>>,
    closing: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Session {
    /// The driver's client, for questions that are not of a rotation.
    #[cfg(feature = "doctor")]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Whether the server takes no changes.
    #[cfg(feature = "doctor")]
    pub fn is_standby(&self) -> bool {
        self.standby
    }
}

/// The goodbye is the connection's, which goes on for a moment; whoever ends the invocation waits for it.
impl Drop for Session {
    fn drop(&mut self) {
        lock(&self.closing).extend(self.connection.take());
    }
}

impl Postgres<'_> {
    /// Logs in; the connection goes on in a task of its own.
    pub(super) async fn connect(&self, document: &Document) -> Result<Login<Session>, EngineError> {
        self.logins.fetch_add(1, Ordering::Relaxed);
        let limit = self.limits.connect;
        timeout(limit, self.connect_without_limit(document))
            .await
            .unwrap_or_else(|_| {
                Err(EngineError::TimedOut {
                    server: document.server(),
                    seconds: limit.as_secs_f32(),
                })
            })
    }

    async fn connect_without_limit(
        &self,
        document: &Document,
    ) -> Result<Login<Session>, EngineError> {
        let closing = &self.kept.closing;
        let tcp = TcpStream::connect((document.host(), document.port()))
            .await
            .map_err(|error| EngineError::Unreachable {
                server: document.server(),
                reason: error.to_string(),
            })?;
        // small messages back and forth: waiting to fill a packet would double the login's time
        let _ = tcp.set_nodelay(true);
        if document.tls() {
            let mut tls = MakeRustlsConnect::new(self.roots.client().await?);
            let tls = MakeTlsConnect::<TcpStream>::make_tls_connect(&mut tls, document.host())
                .map_err(|error| EngineError::CertificateInvalid {
                    server: document.server(),
                    reason: error.to_string(),
                })?;
            log_in_over(tcp, SslMode::Require, tls, document, closing).await
        } else {
            log_in_over(tcp, SslMode::Disable, NoTls, document, closing).await
        }
    }
}

async fn log_in_over<T>(
    tcp: TcpStream,
    mode: SslMode,
    tls: T,
    document: &Document,
    closing: &Arc<Mutex<Vec<JoinHandle<()>>>>,
) -> Result<Login<Session>, EngineError>
where
    T: TlsConnect<TcpStream>,
    T::Stream: Send + 'static,
{
    let mut config = Config::new();
    config
        .user(document.username())
        .password(document.password().expose_secret())
        .dbname(document.dbname())
        .application_name("secret-rotation")
        .ssl_mode(mode);
    let (client, connection) = match config.connect_raw(tcp, tls).await {
        Ok(connected) => connected,
        Err(error) if error.code() == Some(&SqlState::INVALID_PASSWORD) => {
            return Ok(Login::Rejected);
        }
        Err(error) => return Err(classify(&error, document)),
    };
    let connection = tokio::spawn(async {
        // its end is the client's: an error reaches whoever waits for a statement
        let _ = connection.await;
    });
    let mut session = Session {
        client,
        server: document.server(),
        user: document.username().to_owned(),
        standby: false,
        connection: Some(connection),
        closing: closing.clone(),
    };
    session.standby = is_standby(&session.client)
        .await
        .map_err(|error| classify(&error, document))?;
    Ok(Login::Accepted(session))
}

async fn is_standby(client: &Client) -> Result<bool, tokio_postgres::Error> {
    let answer = client
        .simple_query("SELECT pg_catalog.pg_is_in_recovery()")
        .await?;
    Ok(answer
        .iter()
        .any(|message| matches!(message, SimpleQueryMessage::Row(row) if row.get(0) == Some("t"))))
}

/// Sorts a failed connection by what an operator does about it. Nothing here means "wrong password".
fn classify(error: &tokio_postgres::Error, document: &Document) -> EngineError {
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
        // the driver has no kinds to ask for; its texts are held by tests/errors/database.rs
        (Some(cause), _) if cause.to_string() == "server does not support TLS" => {
            EngineError::TlsRefused { server }
        }
        (_, "error performing TLS handshake") => EngineError::CertificateInvalid { server, reason },
        _ => EngineError::Unreachable { server, reason },
    }
}

/// The last cause, which is where rustls and the operating system say what was wrong.
fn innermost(error: &tokio_postgres::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// Sorts an administrator's failed statement. `cure` is the SQL that grants what was missing.
///
/// The server's message is left out: it may quote the statement, which may hold a password.
pub(super) fn classify_statement(
    error: &tokio_postgres::Error,
    session: &Session,
    action: &str,
    cure: &str,
) -> EngineError {
    let server = session.server.clone();
    match error.code() {
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => EngineError::AdministratorForbidden {
            server,
            user: session.user.clone(),
            action: action.to_owned(),
            cure: cure.to_owned(),
        },
        Some(code) => EngineError::Refused {
            server,
            code: code.code().to_owned(),
            message: format!("as {}, to {action}", session.user),
        },
        None => EngineError::Unreachable {
            server,
            reason: error.to_string(),
        },
    }
}
