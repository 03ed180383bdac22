//! The address where applications log in, if roles are changed elsewhere, or if a pooler answers there.

use super::{Postgres, Session, session::Purpose};
use crate::{
    document::Document,
    engine::{EngineError, Login},
};

/// Single user: a pooler that keeps passwords itself would still use the old one, which the server no longer accepts.
pub(super) async fn may_change(
    postgres: &Postgres<'_>,
    current: &Document,
    proven: &Session,
) -> Result<(), EngineError> {
    if postgres.settings.pooler_asks {
        return Ok(());
    }
    let pooled = match current.has_rotation_address() {
        false => proven.pooled,
        true => match postgres.connect_at(current, Purpose::Application).await? {
            Login::Accepted(session) => session.pooled,
            Login::Rejected => true,
        },
    };
    match pooled {
        false => Ok(()),
        true => Err(EngineError::Pooler {
            server: current.server(),
            user: current.username().to_owned(),
        }),
    }
}

/// The new credential has logged in where roles are changed: does it also log in where applications do?
///
/// A pooler that reads AWSCURRENT by itself, as RDS Proxy does, cannot know it before the promotion.
pub(super) async fn knows(
    postgres: &Postgres<'_>,
    document: &Document,
) -> Result<bool, EngineError> {
    match postgres.connect_at(document, Purpose::Application).await? {
        Login::Accepted(_) => Ok(true),
        Login::Rejected if postgres.settings.pooler_asks => Ok(false),
        Login::Rejected => {
            tracing::warn!(
                server = document.server(),
                "the new credential does not log in there yet: this is right for a proxy that reads AWSCURRENT by itself; \
                 for a pooler that asks the server, set POOLER_ASKS_SERVER=true"
            );
            Ok(true)
        }
    }
}
