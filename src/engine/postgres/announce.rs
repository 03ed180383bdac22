//! Notifies clients that a secret has a new version: NOTIFY, on the secret's own channel.
//!
//! The client crate listens (`rotating_secret::postgres::listen`), and asks for the new version at once instead of at the end
//! of its lifetime. Every role may listen and notify, so the payload is the version's id and nothing secret. For a listener it
//! only means that it is time to ask.

use sha2::{Digest, Sha256};
use tokio_postgres::types::Type;

use super::{
    Postgres, Session,
    errors::Doing,
    session::{Purpose, Value},
};
use crate::{
    document::Document,
    engine::{EngineError, Login, Retiring, Whose},
};

const FOUND_LATER: &str = "they find it when their cache's lifetime ends";

/// Clients find the new version anyway, so an error here fails no rotation.
pub(super) async fn announce<E: From<EngineError>>(
    postgres: &Postgres<'_>,
    retiring: &Retiring<'_>,
    read: impl AsyncFn(Whose) -> Result<Document, E>,
) {
    let (secret, version) = (retiring.secret, retiring.version);
    // a session that the server has ended since, with or without a message, does not count
    if let Some(session) = postgres.kept.take_proven(version).await
        && notify(&session, secret, version).await.is_ok()
    {
        return;
    }
    let Ok(successor) = read(Whose::Successor).await else {
        tracing::warn!(
            "the new version could not be read, and clients were not notified of it: {FOUND_LATER}"
        );
        return;
    };
    let notified = async {
        match postgres.connect(&successor, Purpose::Application).await? {
            Login::Accepted(session) if !session.standby => notify(&session, secret, version).await,
            // a standby takes no notification
            _ => Ok(()),
        }
    };
    if let Err(error) = notified.await {
        tracing::warn!(%error, "clients were not notified of the new version: {FOUND_LATER}");
    }
}

async fn notify(session: &Session, secret: &str, version: &str) -> Result<(), EngineError> {
    let channel = channel(secret);
    let parameters: [Value<'_>; 2] = [(&channel, Type::TEXT), (&version, Type::TEXT)];
    let notify = "SELECT pg_catalog.pg_notify($1, $2)";
    let doing = Doing::new("notify");
    // a deferrable transaction, if that is the role's default, waits for others
    let begin = "BEGIN ISOLATION LEVEL READ COMMITTED";
    let asked = session.ask(notify, &parameters, doing, |_| Ok(()));
    let notified = session.within(begin, asked, "COMMIT", doing).await;
    notified.map(drop)
}

/// The channel of a secret: the same in every region that has a replica, and a name that PostgreSQL accepts unchanged.
///
/// The client crate derives it in the same way; tests/listen.rs compares the two.
fn channel(arn: &str) -> String {
    // arn:aws:secretsmanager:eu-west-1:123456789012:secret:orders/db-AbCdEf
    let mut fields: Vec<&str> = arn.splitn(7, ':').collect();
    if fields.len() > 3 {
        fields.remove(3);
    }
    let digest = Sha256::digest(fields.join(":"));
    let hex: String = digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("secret_rotation_{hex}")
}
