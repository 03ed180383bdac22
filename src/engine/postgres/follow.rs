//! The clone follows the base: membership, connection limit, settings, and the role that its sessions act as.

use super::{
    Session,
    administrator::Altering,
    locks, obstacles,
    pair::Facts,
    parameters::{self, Alteration},
    roles,
};
use crate::{
    document::Pair,
    engine::{EngineError, Obstacle},
};

/// How often a setting is tried again that the clone itself altered during the wait.
const ALTERED_MEANWHILE: u32 = 3;

/// Lets the other user log in, and makes it follow the base if it is the clone. It resets nothing of the base.
pub(super) async fn follow(
    session: &Session,
    facts: &Facts,
    pair: &Pair,
    other: &str,
) -> Result<(), EngineError> {
    let Pair { base, clone } = pair;
    let alter = Altering::new(session, "alter", other);
    if other != clone {
        alter.run(&roles::unlock(base, None)).await?;
        return match &facts.owner {
            Some(owner) => alter.run(&roles::act_as(base, &owner.name)).await,
            None => Ok(()),
        };
    }
    if facts.clone.is_none() {
        let create = Altering::new(session, "create", clone);
        create.run(&roles::create(clone)).await?;
    }
    let limit = facts.base.as_ref().map(|base| base.connection_limit);
    alter.run(&roles::unlock(clone, limit)).await?;
    if !facts.membership_is_whole {
        let grant = roles::grant_whole(base, clone, facts.changer.grants_with_options());
        Altering::new(session, "grant", base).run(&grant).await?;
    }
    let as_itself = facts.keeps_acting_as_itself();
    for alteration in parameters::reconcile_settings(clone, &facts.wanted, &facts.present) {
        let name = alteration.parameter;
        let forbidden = facts.forbidden.iter().any(|forbidden| forbidden == name);
        let left_out = forbidden || as_itself && name == "role";
        if !left_out {
            try_to(session, clone, &alteration, &alter).await?;
        }
    }
    Ok(())
}

/// Leaves out a setting that the server refuses for the clone. Otherwise the role itself could block the rotation of its
/// credential: only the role's own sessions load the library that defines the setting.
async fn try_to(
    session: &Session,
    clone: &str,
    alteration: &Alteration<'_>,
    altering: &Altering<'_>,
) -> Result<(), EngineError> {
    let tried = format!("SAVEPOINT setting; {}; RELEASE setting", alteration.sql);
    let mut tries = ALTERED_MEANWHILE;
    let error = loop {
        match altering.run(&tried).await {
            Err(EngineError::Refused { code, .. }) if code == locks::CONCURRENTLY && tries > 0 => {
                tries -= 1;
                altering.run("ROLLBACK TO setting").await?;
            }
            Err(
                error @ (EngineError::AdministratorForbidden { .. } | EngineError::Refused { .. }),
            ) if !session.client.is_closed() && !locks::is_deadlock(&error) => break error,
            // after a deadlock everything begins again
            done => return done,
        }
    };
    altering.run("ROLLBACK TO setting").await?;
    let name = alteration.parameter;
    if alteration.resets {
        let kept = Obstacle::warns(
            "NotReset",
            format!(
                "{clone} keeps a setting {name} that its base role does not have, and the server does not let the administrator reset it \
                 ({error})"
            ),
            "as a superuser, run",
            vec![alteration.sql.clone()],
        );
        return obstacles::refuse_or_warn(&session.server, vec![kept]);
    }
    // the value may be a secret of the application
    tracing::warn!(
        kind = "NotCopied",
        setting = name,
        %error,
        "the clone does not get this setting of the base role: if the application needs it, set it for that role too, as a superuser"
    );
    Ok(())
}
