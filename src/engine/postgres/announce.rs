//! Tells whoever listens that a secret has a new version: NOTIFY, on a channel of the secret's own.
//!
//! The client crate listens (`rotating_secret::postgres::listen`), and asks for the new version at once instead of when
//! its lifetime is over. Every role may listen and notify, so the payload is the version's id and nothing secret,
//! and a listener believes nothing of it but that it is time to ask.

use sha2::{Digest, Sha256};
use tokio_postgres::types::{ToSql, Type};

use super::{Postgres, Session, errors::Doing, session::Purpose};
use crate::{
    document::Document,
    engine::{Announced, EngineError, Login},
};

pub(super) async fn announce(
    postgres: &Postgres<'_>,
    current: Option<&Document>,
    secret: &str,
    version: &str,
) -> Result<Announced, EngineError> {
    let Some(document) = current else {
        // one that the server has ended meanwhile, with or without a word, is none
        return Ok(match postgres.kept.take_proven(version) {
            Some(session) if notify(&session, secret, version).await.is_ok() => Announced::Told,
            _ => Announced::NoSession,
        });
    };
    match postgres.connect(document, Purpose::Application).await? {
        Login::Accepted(session) if !session.standby => {
            notify(&session, secret, version).await?;
            Ok(Announced::Told)
        }
        _ => Ok(Announced::NotHere),
    }
}

async fn notify(session: &Session, secret: &str, version: &str) -> Result<(), EngineError> {
    let channel = channel(secret);
    let told: [(&(dyn ToSql + Sync), Type); 2] = [(&channel, Type::TEXT), (&version, Type::TEXT)];
    let notify = "SELECT pg_catalog.pg_notify($1, $2)";
    let told = session.ask(notify, &told, Doing::new("notify"));
    told.await.map(drop)
}

/// The channel of a secret: the same in every region that has a replica, and a name that PostgreSQL takes as it is.
///
/// The client crate derives it likewise; tests/listen.rs holds the two together.
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
