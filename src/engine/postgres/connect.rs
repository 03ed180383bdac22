//! A login within its deadline.
//!
//! The three connections (TCP, TLS, login) are separate, because the error depends on which one failed: an unreachable host
//! says nothing about a password.

use std::sync::{Arc, Mutex, atomic::Ordering};

use secrecy::ExposeSecret;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::SetOnce,
    time::timeout,
};
use tokio_postgres::{
    Config, SimpleQueryMessage,
    config::{ChannelBinding, SslMode},
    error::SqlState,
    tls::{MakeTlsConnect, NoTls, TlsConnect},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    Postgres, Session, errors, login_of,
    mutex::lock,
    pin,
    reach::reach,
    session::Purpose,
    wire::{self, Watched, Watching},
};
use crate::{
    document::Document,
    engine::{EngineError, Limits, Login},
    settings::ChannelBindingRule,
};

impl Postgres<'_> {
    /// Logs in where roles are changed; the connection then runs in its own task.
    pub(super) async fn connect(
        &self,
        document: &Document,
        purpose: Purpose,
    ) -> Result<Login<Session>, EngineError> {
        self.connect_at(&document.for_rotation(), purpose).await
    }

    /// The same at the document's own host.
    pub(super) async fn connect_at(
        &self,
        document: &Document,
        purpose: Purpose,
    ) -> Result<Login<Session>, EngineError> {
        let limit = self.limits.connect;
        timeout(limit, self.connect_without_limit(document, purpose))
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
        purpose: Purpose,
    ) -> Result<Login<Session>, EngineError> {
        let mut packet = Packet {
            pinned: purpose != Purpose::Application,
            idles: false,
            transacts: false,
        };
        loop {
            let options = packet.options(self.limits);
            let login = self.log_in_once(document, purpose, options.as_deref());
            match login.await {
                // a pooler: the beginning of each transaction pins it instead
                Err(EngineError::Refused { code, message, .. })
                    if options.is_some()
                        && POOLERS.contains(&&*code)
                        && NAMES_OPTIONS.iter().any(|word| message.contains(word)) =>
                {
                    return self.log_in_once(document, purpose, None).await;
                }
                // the role's settings end idle sessions sooner than a step needs them
                Err(EngineError::Refused { code, .. })
                    if code == SqlState::IDLE_SESSION_TIMEOUT.code() && !packet.idles =>
                {
                    packet.idles = true;
                }
                // or end transactions, from PostgreSQL 17 on
                Err(EngineError::Refused { code, .. })
                    if code == TRANSACTION_TIMEOUT && !packet.transacts =>
                {
                    packet.transacts = true;
                }
                Ok(Login::Accepted(session)) if session.short_idle_timeout && !packet.idles => {
                    packet.idles = true;
                }
                Ok(Login::Accepted(session))
                    if session.short_transaction_timeout && !packet.transacts =>
                {
                    packet.transacts = true;
                }
                answer => return answer,
            }
        }
    }

    async fn log_in_once(
        &self,
        document: &Document,
        purpose: Purpose,
        options: Option<&str>,
    ) -> Result<Login<Session>, EngineError> {
        self.logins.fetch_add(1, Ordering::Relaxed);
        let tcp = reach(document.host(), document.port())
            .await
            .map_err(|error| EngineError::Unreachable {
                server: document.server(),
                reason: error.to_string(),
            })?;
        // small messages back and forth: waiting to fill a packet would double the login's time
        let _ = tcp.set_nodelay(true);
        let mut config = Config::new();
        config
            .user(document.username())
            .password(document.password().expose_secret())
            .dbname(login_of(document)?.dbname())
            .application_name("secret-rotation");
        if let Some(options) = options {
            config.options(options);
        }
        let login = Arc::new(Mutex::new(wire::Login::default()));
        if document.tls() {
            if purpose == Purpose::Administrator
                && self.settings.channel_binding == ChannelBindingRule::Require
            {
                config.channel_binding(ChannelBinding::Require);
            }
            config.ssl_mode(SslMode::Require);
            let mut tls = MakeRustlsConnect::new(self.roots.client().await?);
            let tls = MakeTlsConnect::<TcpStream>::make_tls_connect(&mut tls, document.host())
                .map_err(|error| EngineError::CertificateInvalid {
                    server: document.server(),
                    reason: error.to_string(),
                })?;
            let tls = Watching {
                tls,
                login: login.clone(),
            };
            self.log_in_over(tcp, tls, &config, login, document, purpose)
                .await
        } else {
            config.ssl_mode(SslMode::Disable);
            let tcp = Watched::new(tcp, login.clone());
            self.log_in_over(tcp, NoTls, &config, login, document, purpose)
                .await
        }
    }

    async fn log_in_over<S, T>(
        &self,
        stream: S,
        tls: T,
        config: &Config,
        shared: Arc<Mutex<wire::Login>>,
        document: &Document,
        purpose: Purpose,
    ) -> Result<Login<Session>, EngineError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: TlsConnect<S>,
        T::Stream: Send + 'static,
    {
        let connected = config.connect_raw(stream, tls).await;
        let login = *lock(&shared);
        let (server, user) = (document.server(), document.username().to_owned());
        let (client, connection) = match connected {
            _ if login.wants_cleartext => {
                return Err(EngineError::WantsCleartext { server, user });
            }
            Ok(_) if !login.asked => return Err(EngineError::AsksNoPassword { server, user }),
            Ok(connected) => connected,
            Err(error) if error.code() == Some(&SqlState::INVALID_PASSWORD) => {
                return Ok(Login::Rejected);
            }
            Err(error) => return Err(errors::of_login(&error, document)),
        };
        let ended = Arc::new(SetOnce::new());
        let task = tokio::spawn({
            let ended = ended.clone();
            async move {
                let error = connection.await.err();
                let _ = ended.set(error.and_then(|error| error.code().cloned()));
            }
        });
        let mut session = Session {
            client,
            server,
            user,
            session_user: String::new(),
            standby: false,
            pooled: false,
            short_idle_timeout: false,
            short_transaction_timeout: false,
            login: shared,
            purpose,
            limits: self.limits,
            ended,
            connection: Some(task),
            closing: self.kept.closing.clone(),
        };
        let about = match about_itself(&session).await {
            Ok(about) => about,
            Err(error) => {
                return Err(match session.ended_with().await {
                    Some(code) => session.refused(&code, "log in"),
                    None if error.code().is_none() && !error.is_closed() => {
                        session.another_form(&error, "log in")
                    }
                    None => errors::of_login(&error, document),
                });
            }
        };
        session.session_user = about.session_user;
        session.standby = about.standby;
        session.pooled = about.process != login.process;
        session.short_idle_timeout = about.short_idle_timeout;
        session.short_transaction_timeout = about.short_transaction_timeout;
        Ok(Login::Accepted(session))
    }
}

/// The content of the startup packet's `options`.
struct Packet {
    /// Everything that a session is pinned to.
    pinned: bool,
    /// That an idle session lasts as long as the function needs. Only sent where needed, because PostgreSQL 13 does not know
    /// the parameter.
    idles: bool,
    /// The same for a transaction.
    transacts: bool,
}

impl Packet {
    fn options(&self, limits: Limits) -> Option<String> {
        let pinned = self.pinned.then(|| pin::options(limits));
        let idles = self.idles.then(|| IDLES.to_owned());
        let transacts = self.transacts.then(|| TRANSACTS.to_owned());
        let options: Vec<_> = pinned.into_iter().chain(idles).chain(transacts).collect();
        (!options.is_empty()).then(|| options.join(" "))
    }
}

const IDLES: &str = "-c idle_session_timeout=1min";
const TRANSACTS: &str = "-c transaction_timeout=1min";

/// The SQLSTATE of a session whose transaction took too long.
const TRANSACTION_TIMEOUT: &str = "25P04";

/// SQLSTATEs with which poolers refuse a startup packet: PgBouncer's, and RDS Proxy's.
const POOLERS: [&str; 2] = ["08P01", "0A000"];
const NAMES_OPTIONS: [&str; 2] = ["startup parameter", "command-line options"];

/// What a session reports about itself.
struct About {
    session_user: String,
    /// Whether the server takes no changes.
    standby: bool,
    /// Which of the server's processes serves this session.
    process: Option<i32>,
    /// Whether the server ends it after less than a minute of idle time.
    short_idle_timeout: bool,
    /// Whether a transaction may take less than a minute.
    short_transaction_timeout: bool,
}

async fn about_itself(session: &Session) -> Result<About, tokio_postgres::Error> {
    // a deferrable transaction, if that is the role's default, waits for others
    let question = format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = {}; \
                    SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.pg_backend_pid(), \
                    pg_catalog.current_setting('idle_session_timeout', true), \
                    pg_catalog.current_setting('transaction_timeout', true), session_user; ROLLBACK",
        session.limits.statement.as_millis().max(1)
    );
    let answer = session.client.simple_query(&question).await?;
    let row = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let field = |at| row.map_or(Ok(None), |row| row.try_get(at));
    let is_long = |limit: &str| limit == "0" || limit.ends_with(['n', 'h', 'd']); // min, h, d
    Ok(About {
        session_user: field(4)?.unwrap_or_default().to_owned(),
        standby: field(0)? == Some("t"),
        process: field(1)?.and_then(|process| process.parse().ok()),
        short_idle_timeout: field(2)?.is_some_and(|limit| !is_long(limit)),
        short_transaction_timeout: field(3)?.is_some_and(|limit| !is_long(limit)),
    })
}
