//! The obstacles of a rotation of roles: one list, a pure function of what the catalogs say.
//!
//! setSecret checks it before it changes anything; `rotatectl doctor` shows it.

use super::{
    copied,
    facts::{Changer, Role},
    pair::{Facts, Namesakes},
    roles,
};
use crate::{
    document::Pair,
    engine::{EngineError, Obstacle},
};

const AS_A_SUPERUSER: &str = "as a superuser, run";

/// For alternating users. `to` is the user who gets a new password.
pub(super) fn of_a_pair(facts: &Facts, pair: &Pair, to: &str) -> Vec<Obstacle> {
    let Pair { base, clone } = pair;
    let Some(base_role) = &facts.base else {
        return vec![no_base(pair)];
    };
    let mut found = Vec::new();
    found.extend(facts.namesakes.map(|namesakes| no_pair(pair, namesakes)));
    let both: Vec<_> = [Some(base_role), facts.clone.as_ref()]
        .into_iter()
        .flatten()
        .collect();
    found.extend(changers(&facts.changer, &both));
    found.extend(copied::of_the_owner(facts, base, clone));
    let limit = base_role.connection_limit;
    found.extend(
        facts
            .role(to)
            .and_then(|role| no_free_connection(role, limit)),
    );
    if to == clone {
        found.extend(copied::not_copied(facts, base_role, clone));
        found.extend(copied::of_its_own(facts, base, clone));
    }
    found
}

/// For one user who gets a new password, from itself or from an administrator.
pub(super) fn of_one(changer: &Changer, role: &Role) -> Vec<Obstacle> {
    let itself = changer.user == role.name;
    let mut found = Vec::new();
    if itself {
        found.extend(superuser(changer, role));
        found.extend(replication(changer, role));
        found.extend(no_passwords(changer));
    } else {
        found.extend(changers(changer, &[role]));
    }
    if let Some(until) = &role.ends {
        let what = format!(
            "the password of {} ends at {until} (VALID UNTIL), also after a change",
            role.name
        );
        let sql = vec![roles::no_end(&role.name)];
        found.push(match itself {
            true => Obstacle::stops(
                "PasswordEnds",
                what,
                "a role cannot lift that itself; as a superuser, run",
                sql,
            ),
            false => Obstacle::warns("PasswordEnds", what, "this rotation lifts it", Vec::new()),
        });
    }
    found
}

/// A user with a new password can log in. A block is reported, because someone may have intended it.
pub(super) fn opened(role: &Role) -> Option<Obstacle> {
    let forbidden = !role.logs_in && !role.ended;
    forbidden.then(|| {
        Obstacle::warns(
            "LoginRestored",
            format!(
                "{} may not log in (NOLOGIN), and may again from now on",
                role.name
            ),
            "it is its turn; to keep the secret's users from logging in, disable its rotation",
            Vec::new(),
        )
    })
}

/// The function gives no role a password, or an end, only because of its name.
pub(super) fn no_pair(pair: &Pair, namesakes: Namesakes) -> Obstacle {
    let Pair { base, clone } = pair;
    let (how, mut sql) = match namesakes.by_its_own_grant {
        false => ("no member", Vec::new()),
        // a second GRANT leaves the first one unchanged
        true => (
            "a member by no administrator's grant",
            vec![roles::revoke(base, clone)],
        ),
    };
    sql.push(roles::grant(base, clone));
    Obstacle::stops(
        "NoPair",
        format!("{clone} is {how} of {base}, so the two may be of different applications"),
        "rename one of them; if both belong to one application, as a superuser, run",
        sql,
    )
}

fn no_base(pair: &Pair) -> Obstacle {
    let Pair { base, clone } = pair;
    Obstacle::stops(
        "NoBaseRole",
        format!("the secret's user {clone} takes turns with {base}, and there is no role {base}"),
        "make it, and give it what the application needs, or take \"masterarn\" out of the secret for a single user; as a superuser, run",
        vec![roles::create_with_login(base), roles::grant(base, clone)],
    )
}

/// For a role that will be made: its maker may alter and grant it from then on.
#[cfg(feature = "doctor")]
pub(super) fn of_new_role(changer: &Changer) -> Vec<Obstacle> {
    changers(changer, &[])
}

/// The first rotation would find this role, and treat it as another application's.
#[cfg(feature = "doctor")]
pub(super) fn clone_exists(base: &str, clone: &str) -> Obstacle {
    Obstacle::stops(
        "NoPair",
        format!("there is a role {clone} already, which would take turns with the new role {base}"),
        "choose another name for the new role, or use a single user",
        Vec::new(),
    )
}

/// The rights that an administrator lacks to alter these roles, and to grant them.
fn changers(changer: &Changer, altered: &[&Role]) -> Vec<Obstacle> {
    let superusers = altered.iter().filter_map(|role| superuser(changer, role));
    let mut found: Vec<_> = superusers.collect();
    if changer.superuser {
        return found;
    }
    let user = &changer.user;
    if !changer.creates_roles {
        found.push(Obstacle::stops(
            "AdministratorForbidden",
            format!("the administrator {user} may not create and alter roles"),
            AS_A_SUPERUSER,
            vec![roles::create_roles(user)],
        ));
    }
    for role in altered {
        found.extend(replication(changer, role));
        if changer.grants_with_options() && !role.administered && !changer.of_rds {
            found.push(Obstacle::stops(
                "AdministratorForbidden",
                format!(
                    "the administrator {user} may not alter and grant {}",
                    role.name
                ),
                AS_A_SUPERUSER,
                vec![roles::admin_option(user, &role.name)],
            ));
        }
    }
    found.extend(no_passwords(changer));
    found
}

/// Anyone who reads its secret has the server. Only a superuser alters a superuser: any other administrator stops here.
pub(super) fn superuser(changer: &Changer, role: &Role) -> Option<Obstacle> {
    let name = &role.name;
    let advice = "an application does not need that; as a superuser, run";
    let sql = vec![roles::no_superuser(name)];
    match (role.superuser, changer.superuser) {
        (false, _) => None,
        (true, false) => Some(Obstacle::stops(
            "RoleIsSuperuser",
            format!("{name} is a superuser, which only a superuser may alter"),
            advice,
            sql,
        )),
        (true, true) => Some(Obstacle::warns(
            "RoleIsSuperuser",
            format!("{name} is a superuser: anyone who reads its secret has the whole server"),
            advice,
            sql,
        )),
    }
}

fn no_passwords(changer: &Changer) -> Option<Obstacle> {
    let forbidden = changer.sets_no_passwords && !changer.superuser;
    forbidden.then(|| {
        Obstacle::stops(
            "ChangeForbidden",
            format!(
                "{} may not set passwords (rds.restrict_password_commands)",
                changer.user
            ),
            AS_A_SUPERUSER,
            vec![roles::grant("rds_password", &changer.user)],
        )
    })
}

/// Before PostgreSQL 16 only a superuser alters a role that replicates; the role itself may not.
fn replication(changer: &Changer, role: &Role) -> Option<Obstacle> {
    let forbidden = role.replicates && !changer.grants_with_options() && !changer.superuser;
    forbidden.then(|| {
        Obstacle::stops(
            "RoleHasReplication",
            format!("{} has REPLICATION, and before PostgreSQL 16 only a superuser may alter such a role", role.name),
            "use a separate role for replication; as a superuser, run",
            vec![format!("ALTER ROLE {} NOREPLICATION", roles::name(&role.name))],
        )
    })
}

/// testSecret must log in, and so must the application.
fn no_free_connection(role: &Role, limit: i32) -> Option<Obstacle> {
    let full = limit >= 0 && role.connections >= i64::from(limit);
    full.then(|| {
        Obstacle::stops(
            "NoFreeConnection",
            format!("{} has {} of {limit} connections open, from its last turn, so the new password cannot be tested", role.name, role.connections),
            "let the applications close them, or raise the limit of the base role; in psql, see them with",
            vec![format!(
                "SELECT pid, application_name, backend_start FROM pg_stat_activity WHERE usename = {}",
                roles::text(&role.name)
            )],
        )
    })
}

/// A password stays md5, because old drivers need it.
pub(super) fn kept_as_md5(user: &str) -> Obstacle {
    Obstacle::warns(
        "KeptAsMd5",
        format!(
            "the password of {user} is stored as an md5 hash, and a rotation does not change that"
        ),
        "if every driver supports SCRAM, set PASSWORD_HASHING=scram in the function's environment",
        Vec::new(),
    )
}

/// Reports the obstacles that only warn; the others are an error.
pub(super) fn refuse_or_warn(server: &str, found: Vec<Obstacle>) -> Result<(), EngineError> {
    let (stops, warns): (Vec<_>, Vec<_>) = found.into_iter().partition(|found| found.stops);
    for obstacle in warns {
        tracing::warn!(kind = obstacle.kind, server, "{obstacle}");
    }
    let mut stops = stops.into_iter();
    match stops.next() {
        None => Ok(()),
        Some(first) => Err(EngineError::Obstacle {
            server: server.to_owned(),
            first: Box::new(first),
            others: stops.collect(),
        }),
    }
}
