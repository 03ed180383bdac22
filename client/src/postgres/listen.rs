//! The database itself announces a change, in milliseconds instead of a lifetime.
//!
//! The rotation function's finishSecret sends NOTIFY with the new version's id. Anyone who can log in can send one too, so a
//! notification only means that it is time to ask the provider.

use std::{future::poll_fn, sync::PoisonError, time::Duration};

use backon::BackoffBuilder;
use sha2::{Digest, Sha256};
use tokio::{
    runtime::Handle,
    sync::watch,
    time::{Instant, sleep},
};
use tokio_postgres::{AsyncMessage, Config};

use super::{ConnectError, Refusal, Tls, connect_as};
use crate::{
    Attempt, RotatingSecret,
    refresh::{LONGEST_DELAY, backoff},
    secret::{Listening, WeakSecret},
    slot::Change,
};

/// A whole fleet hears of a change at one moment. Its sessions go on listening, and log in again within this time: logins all at once
/// would keep server and clients busy while the new version is read.
const APART: Duration = Duration::from_secs(10);

/// Why no task listens for a secret's changes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotListening {
    /// The secret has no ARN that a channel could be derived from.
    #[error(
        "the provider of {0} names no ARN, so its changes cannot be announced: leave listen out, and mind the ttl"
    )]
    NoArn(String),
    /// There is no runtime to listen on.
    #[error("there is no tokio runtime to listen on: call listen inside of one")]
    NoRuntime,
}

/// Refreshes the secret as soon as the rotation function announces a change.
///
/// It keeps one connection, in a task that ends with the secret's last handle. It connects again when the connection breaks, and
/// within ten seconds of a new version; without a connection, the lifetime finds a change. With one, the provider is asked once
/// an hour and not every five minutes, unless [`Builder::ttl`](crate::Builder::ttl) says how often. The connection must reach the
/// server itself: a pooler in transaction mode accepts LISTEN, but passes no notification on. A standby refuses it.
///
/// It logs in with the current version only. If the server rejects that, the provider is asked for AWSCURRENT; AWSPENDING becomes
/// current only by a login of the application.
///
/// One call is enough for all clones: while one task listens, another call changes nothing, and its `tls` is not used.
///
/// # Errors
///
/// The secret has no ARN, or this is called outside of a tokio runtime.
pub fn listen<T: Tls>(secret: &RotatingSecret, tls: T) -> Result<(), NotListening> {
    let arn = secret
        .arn()
        .ok_or_else(|| NotListening::NoArn(secret.id().to_owned()))?;
    let runtime = Handle::try_current().map_err(|_| NotListening::NoRuntime)?;
    let mut listener = secret
        .shared
        .listener
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    // a task on another runtime may have ended with that
    if listener.as_ref().is_some_and(|task| !task.is_finished()) {
        return Ok(());
    }
    let (channel, changes, weak) = (channel(&arn), secret.watch(), secret.downgrade());
    let task = runtime.spawn(async move {
        // an error means the end of the secret
        let _ = run(weak, changes, &channel, tls).await;
    });
    *listener = Some(task.abort_handle());
    Ok(())
}

/// The channel that announces a secret's changes: a name that PostgreSQL accepts unchanged, and the same in every region that
/// has a replica.
pub fn channel(arn: &str) -> String {
    // arn:aws:secretsmanager:eu-west-1:123456789012:secret:orders/db-AbCdEf
    let mut fields: Vec<&str> = arn.splitn(7, ':').collect();
    if fields.len() > 3 {
        fields.remove(3);
    }
    let digest = Sha256::digest(fields.join(":"));
    let hex = digest.iter().take(16).map(|byte| format!("{byte:02x}"));
    format!("secret_rotation_{}", hex.collect::<String>())
}

/// The secret's last handle is gone.
struct Gone;

impl From<watch::error::RecvError> for Gone {
    fn from(_: watch::error::RecvError) -> Self {
        Self
    }
}

async fn run<T: Tls>(
    secret: WeakSecret,
    mut changes: watch::Receiver<Change>,
    channel: &str,
    tls: T,
) -> Result<(), Gone> {
    let mut delays = backoff().build();
    loop {
        changes.borrow_and_update();
        match session(&secret, &mut changes, channel, tls.clone()).await? {
            Ended::ByChange => delays = backoff().build(),
            Ended::ByServer { listened } => {
                if listened > LONGEST_DELAY {
                    delays = backoff().build();
                }
                let delay = delays.next().unwrap_or(LONGEST_DELAY);
                tokio::select! {
                    () = sleep(delay) => {}
                    change = changes.changed() => change?,
                }
            }
        }
    }
}

/// Why a session ended.
enum Ended {
    /// Another version is current, and the next session must log in with it.
    ByChange,
    ByServer {
        listened: Duration,
    },
}

async fn session<T: Tls>(
    weak: &WeakSecret,
    changes: &mut watch::Receiver<Change>,
    channel: &str,
    tls: T,
) -> Result<Ended, Gone> {
    let secret = weak.upgrade().ok_or(Gone)?;
    let mut config = Config::new();
    config
        .application_name("rotating-secret")
        .keepalives_idle(Duration::from_secs(60));
    // with no other version than this: a server that rejects this session makes AWSPENDING nobody's version
    let connected = match secret.usable().await {
        Ok(credential) => {
            let refused = |refused: Refusal| {
                if let Attempt::Rejected(()) = Attempt::of(refused.sqlstate(), ()) {
                    // AWSCURRENT may have moved
                    secret.pushed(None);
                }
                ConnectError::Failed(refused)
            };
            tokio::select! {
                connected = connect_as(&config, credential, tls) => connected.map_err(refused),
                // this server may hang, and the next version may name another one
                change = changes.changed() => {
                    change?;
                    return Ok(Ended::ByChange);
                }
            }
        }
        Err(error) => Err(error.into()),
    };
    let (client, mut connection) = match connected {
        Ok(connected) => connected,
        Err(error) => {
            report(&secret, &error);
            return Ok(Ended::ByServer {
                listened: Duration::ZERO,
            });
        }
    };
    // from here on the secret may end
    drop(secret);

    let statement = format!("LISTEN {channel}");
    let mut statement = std::pin::pin!(client.batch_execute(&statement));
    let mut listening: Option<(Instant, Listening)> = None;
    let (apart, mut replaced) = (APART.mul_f64(fastrand::f64()), false);
    let mut leave = std::pin::pin!(sleep(apart));
    loop {
        tokio::select! {
            said = &mut statement, if listening.is_none() => match said {
                Ok(()) => {
                    listening = Some((Instant::now(), weak.begin_listening()));
                    // an earlier notification was not heard
                    weak.upgrade().ok_or(Gone)?.pushed(None);
                }
                Err(error) => {
                    report(&weak.upgrade().ok_or(Gone)?, &ConnectError::Failed(Refusal::Driver(error)));
                    return Ok(Ended::ByServer { listened: Duration::ZERO });
                }
            },
            message = poll_fn(|context| connection.poll_message(context)) => match message {
                Some(Ok(AsyncMessage::Notification(notification))) => {
                    if notification.channel() == channel {
                        let named = notification.payload().to_owned();
                        weak.upgrade().ok_or(Gone)?.pushed(Some(named));
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => {
                    let listened = listening.map(|(since, _)| since.elapsed());
                    return Ok(Ended::ByServer { listened: listened.unwrap_or_default() });
                }
            },
            change = changes.changed() => {
                change?;
                if listening.is_none() {
                    return Ok(Ended::ByChange);
                }
                if !replaced {
                    replaced = true;
                    leave.as_mut().reset(Instant::now() + apart);
                }
            }
            () = &mut leave, if replaced => return Ok(Ended::ByChange),
        }
    }
}

fn report(secret: &RotatingSecret, error: &ConnectError) {
    tracing::warn!(secret = secret.id(), %error, "no notifications: until there are, the ttl finds a change");
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    reason = "a failing unwrap in a test is a failing test"
)]
mod tests {
    use local::postgres::Postgres;

    use serde_json::json;

    use super::*;
    use crate::provider::{Fixed, Version};

    /// Waits until it listens, or does not. Its session is on a server with its own clock.
    async fn until_listening(secret: &RotatingSecret, heard: bool) {
        while secret.shared.pushed.is_listening() != heard {
            sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn the_database_announces_changes_only_while_the_session_listens() {
        let server = Postgres::shared().await.unwrap();
        let created = server.execute("CREATE ROLE heard LOGIN PASSWORD 'heard'");
        created.await.unwrap();
        let document = |password: &str| json!({ "host": server.host(), "port": server.port(), "username": "heard", "password": password, "ssl": false });
        let version = |id: &str, password: &str| {
            let version = Version::text(id, document(password).to_string());
            version
                .with_arn("arn:aws:secretsmanager:us-east-1:123456789012:secret:orders/db-AbCdEf")
        };
        let provider = Fixed::new().with("orders/db", version("v1", "wrong"));
        let builder = RotatingSecret::builder("orders/db").lag(Duration::ZERO);
        let secret = builder.build(provider.clone()).await.unwrap();
        listen(&secret, tokio_postgres::NoTls).unwrap();
        // no login, and so no notification
        while server.logins("heard").unwrap().rejected == 0 {
            sleep(Duration::from_millis(5)).await;
        }
        assert!(!secret.shared.pushed.is_listening());

        provider.set("orders/db", version("v2", "heard"));
        secret.refresh().await.unwrap();
        until_listening(&secret, true).await;

        // the session ends, and there is no other
        server.execute("ALTER ROLE heard NOLOGIN").await.unwrap();
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'heard'";
        server.execute(end).await.unwrap();
        until_listening(&secret, false).await;
        server.execute("ALTER ROLE heard LOGIN").await.unwrap();
        until_listening(&secret, true).await;

        // the listener is a task, which may end with its runtime
        let shared = secret.shared.clone();
        drop(secret);
        while shared.pushed.is_listening() {
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// The sessions that listen as this role, and when the first and the last of them began.
    async fn sessions(server: &Postgres, role: &str) -> (Vec<i32>, f64) {
        let question = "SELECT coalesce(array_agg(pid), '{}'), \
                               coalesce(extract(epoch FROM max(backend_start) - min(backend_start)), 0)::float8 \
                        FROM pg_stat_activity WHERE usename = $1 AND query LIKE 'LISTEN %'";
        let client = server.superuser_client().await.unwrap();
        let row = client.query_one(question, &[&role]).await.unwrap();
        (row.try_get(0).unwrap(), row.try_get(1).unwrap())
    }

    #[tokio::test]
    async fn a_fleet_listens_on_after_a_change_and_logs_in_one_after_another() {
        const FLEET: usize = 8;
        let server = Postgres::shared().await.unwrap();
        let created = server.execute("CREATE ROLE fleet LOGIN PASSWORD 'fleet'");
        created.await.unwrap();
        let document = json!({ "host": server.host(), "port": server.port(), "username": "fleet", "password": "fleet", "ssl": false });
        let version = |id: &str| {
            Version::text(id, document.to_string())
                .with_arn("arn:aws:secretsmanager:us-east-1:123456789012:secret:fleet/db-AbCdEf")
        };
        let provider = Fixed::new().with("fleet/db", version("v1"));
        let mut fleet = Vec::new();
        for _ in 0..FLEET {
            let builder = RotatingSecret::builder("fleet/db").lag(Duration::ZERO);
            let secret = builder.build(provider.clone()).await.unwrap();
            listen(&secret, tokio_postgres::NoTls).unwrap();
            until_listening(&secret, true).await;
            fleet.push(secret);
        }
        let (before, _) = sessions(server, "fleet").await;
        assert_eq!(before.len(), FLEET);

        provider.set("fleet/db", version("v2"));
        for secret in &fleet {
            secret.refresh().await.unwrap();
        }
        let spread = loop {
            let (now, spread) = sessions(server, "fleet").await;
            if now.len() == FLEET && now.iter().all(|pid| !before.contains(pid)) {
                break spread;
            }
            sleep(Duration::from_millis(50)).await;
        };
        // by chance once in a million
        assert!(spread > 1.0, "all within {spread} s");
    }

    #[test]
    fn the_channel_is_the_same_in_every_region_and_another_for_every_secret() {
        let arn =
            |region, name| format!("arn:aws:secretsmanager:{region}:123456789012:secret:{name}");
        let orders = channel(&arn("us-east-1", "orders/db-AbCdEf"));
        assert_eq!(orders, channel(&arn("eu-west-1", "orders/db-AbCdEf")));
        assert_ne!(orders, channel(&arn("us-east-1", "stock/db-AbCdEf")));
        // as the rotation function derives it; tests/listen.rs there compares the two
        assert_eq!(orders.len(), 48);
        assert!(
            orders
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        );
    }
}
