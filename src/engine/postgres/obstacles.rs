//! What stands in the way of a rotation of roles: one list, a pure function of what the catalogs say.
//!
//! setSecret looks at it before it changes anything; `rotatectl doctor` shows it.

use super::{
    facts::{ADMIN_OPTION_SINCE, Changer, Facts, Namesakes, PARAMETER_PRIVILEGE_SINCE, Role},
    roles,
};
use crate::{document::Pair, engine::Obstacle};

const AS_A_SUPERUSER: &str = "as a superuser, run";

/// Of two users that take turns. `to` is the one who gets a new password, if it is known whose turn it is.
pub(super) fn of_a_pair(facts: &Facts, pair: &Pair, to: &str) -> Vec<Obstacle> {
    let Pair { base, clone } = pair;
    let Some(base_role) = &facts.base else {
        return vec![no_base(pair)];
    };
    let mut found = Vec::new();
    found.extend(facts.namesakes.map(|namesakes| no_pair(pair, namesakes)));
    let both = [Some(base_role), facts.clone.as_ref()];
    found.extend(changers(
        &facts.changer,
        &both.into_iter().flatten().collect::<Vec<_>>(),
    ));
    found.extend(of_the_owner(facts, base, clone));
    let other = both.into_iter().flatten().find(|role| role.name == to);
    if let Some(role) = other {
        let limit = base_role.connection_limit;
        found.extend(no_free_connection(role, limit));
    }
    if to == clone {
        found.extend(not_copied(facts, base_role, clone));
        found.extend(of_its_own(facts, base, clone));
    }
    found
}

/// Of one user who gets a new password, by itself or by an administrator.
pub(super) fn of_one(changer: &Changer, role: &Role) -> Vec<Obstacle> {
    let itself = changer.user == role.name;
    let mut found = Vec::new();
    if itself {
        found.extend(replication(changer, role));
        found.extend(no_passwords(changer));
    } else {
        found.extend(changers(changer, &[role]));
    }
    if let Some(until) = &role.ends {
        let what = format!(
            "the password of {} ends at {until} (VALID UNTIL), whatever it is",
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

/// Who has a new password logs in: what stood against that is said, for it may be somebody's intention.
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

/// The function gives no role a password, or an end, for its name alone.
pub(super) fn no_pair(pair: &Pair, namesakes: Namesakes) -> Obstacle {
    let Pair { base, clone } = pair;
    let (how, mut sql) = match namesakes.by_its_own_grant {
        false => ("no member", Vec::new()),
        // a second GRANT leaves the first one as it is
        true => (
            "a member by no administrator's grant",
            vec![roles::revoke(base, clone)],
        ),
    };
    sql.push(roles::grant(base, clone));
    Obstacle::stops(
        "NoPair",
        format!("{clone} is {how} of {base}, so the two may be of different applications"),
        "rename one of them; where they are one's, as a superuser, run",
        sql,
    )
}

fn no_base(pair: &Pair) -> Obstacle {
    let Pair { base, clone } = pair;
    Obstacle::stops(
        "NoBaseRole",
        format!("the secret's user {clone} takes turns with {base}, and there is no role {base}"),
        "make it, and give it what the application needs, or take \"masterarn\" out of the secret for a single user; as a superuser, run",
        vec![
            format!("{} LOGIN", roles::create(base)),
            roles::grant(base, clone),
        ],
    )
}

/// What an administrator lacks to alter these roles, and to grant them.
fn changers(changer: &Changer, altered: &[&Role]) -> Vec<Obstacle> {
    let mut found = Vec::new();
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
        if role.superuser {
            found.push(Obstacle::stops(
                "RoleIsSuperuser",
                format!(
                    "{} is a superuser, whom only a superuser may alter",
                    role.name
                ),
                "an application does not need that; as a superuser, run",
                vec![format!(
                    "ALTER ROLE {} NOSUPERUSER",
                    roles::name(&role.name)
                )],
            ));
        }
        found.extend(replication(changer, role));
        if changer.version >= ADMIN_OPTION_SINCE && !role.administered && !changer.of_rds {
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

/// Before PostgreSQL 16 only a superuser alters a role that replicates, also the role itself.
fn replication(changer: &Changer, role: &Role) -> Option<Obstacle> {
    let forbidden = role.replicates && changer.version < ADMIN_OPTION_SINCE && !changer.superuser;
    forbidden.then(|| {
        Obstacle::stops(
            "RoleHasReplication",
            format!("{} has REPLICATION, and before PostgreSQL 16 only a superuser may alter such a role", role.name),
            "replicate as a role of its own; as a superuser, run",
            vec![format!("ALTER ROLE {} NOREPLICATION", roles::name(&role.name))],
        )
    })
}

/// testSecret has to log in, and so has the application.
fn no_free_connection(role: &Role, limit: i32) -> Option<Obstacle> {
    let full = limit >= 0 && role.connections >= i64::from(limit);
    full.then(|| {
        Obstacle::stops(
            "NoFreeConnection",
            format!("{} has {} of {limit} connections open, from its last turn, so the new password could not be tried", role.name, role.connections),
            "let the applications close them, or raise the limit of the base role; in psql, see them with",
            vec![format!(
                "SELECT pid, application_name, backend_start FROM pg_stat_activity WHERE usename = {}",
                roles::text(&role.name)
            )],
        )
    })
}

fn of_the_owner(facts: &Facts, base: &str, clone: &str) -> Vec<Obstacle> {
    let Some(owner) = &facts.owner else {
        return Vec::new();
    };
    let mut found = Vec::new();
    if !owner.of_the_base {
        found.push(Obstacle::stops(
            "OwnerRoleNotGranted",
            format!("the secret's \"ownerrole\" is {}, and {base} may not act as it: a secret's value gives nobody a role", owner.name),
            "correct the secret, or, as a superuser, run",
            vec![roles::grant_acting(
                &owner.name,
                base,
                facts.changer.version >= ADMIN_OPTION_SINCE,
            )],
        ));
    } else if !owner.lacks.is_empty() {
        found.push(Obstacle::stops(
            "OwnerRoleLacks",
            format!(
                "{base} and {clone} would act as \"ownerrole\", {}, which lacks what {base} has of its own: {}",
                owner.name,
                owner.lacks.join(", ")
            ),
            "give the same to the owner role, or take \"ownerrole\" out of the secret, then rotate again; where it is meant, and tried, run",
            vec![roles::act_as(base, &owner.name)],
        ));
    }
    found
}

/// What of the base role the clone does not get, for the administrator may not give it.
fn not_copied(facts: &Facts, base: &Role, clone: &str) -> Vec<Obstacle> {
    let mut found = Vec::new();
    let has = |of: fn(&Role) -> bool| facts.clone.as_ref().is_some_and(of);
    if base.replicates && !has(|clone| clone.replicates) {
        found.push(Obstacle::warns(
            "NotCopied",
            format!("{} has REPLICATION, and {clone} does not get it", base.name),
            "where the application replicates, as a superuser, run",
            vec![format!("ALTER ROLE {} REPLICATION", roles::name(clone))],
        ));
    }
    if base.bypasses_policies && !has(|clone| clone.bypasses_policies) {
        found.push(Obstacle::warns(
            "NotCopied",
            format!("{} has BYPASSRLS, and {clone} does not get it: it has that only while it acts as {}", base.name, base.name),
            "as a superuser, run",
            vec![format!("ALTER ROLE {} BYPASSRLS", roles::name(clone))],
        ));
    }
    for name in &facts.forbidden {
        // its value may be a secret of the application's
        let (advice, sql) = match facts.changer.version < PARAMETER_PRIVILEGE_SINCE {
            true => (
                "where it matters, set it for that role too, as a superuser",
                Vec::new(),
            ),
            false => (
                "where it matters, as a superuser, run",
                vec![roles::set_parameter(&facts.changer.user, name)],
            ),
        };
        let what = format!(
            "{clone} does not get the setting {name} of {}, which the administrator may not set",
            base.name
        );
        found.push(Obstacle::warns("NotCopied", what, advice, sql));
    }
    for (name, why) in &facts.kept_back {
        found.push(Obstacle::warns(
            "NotCopied",
            format!(
                "{clone} does not get the setting {name} of {}, for {why}",
                base.name
            ),
            "where it matters, set it for that role too, as a superuser",
            Vec::new(),
        ));
    }
    for in_vain in &facts.acts_in_vain {
        let role = &in_vain.role;
        found.push(Obstacle::warns(
            "ActsInVain",
            format!(
                "{} is set to act as {role}, and may not: the server has it act as itself",
                base.name
            ),
            "correct it; as a superuser, run one of",
            vec![
                roles::grant_acting(
                    role,
                    &base.name,
                    facts.changer.version >= ADMIN_OPTION_SINCE,
                ),
                in_vain.reset.clone(),
            ],
        ));
    }
    found
}

/// A password stays md5, as old drivers need it.
pub(super) fn kept_as_md5(user: &str) -> Obstacle {
    Obstacle::warns(
        "KeptAsMd5",
        format!("the password of {user} is kept as an md5 hash, and stays so"),
        "where every driver knows SCRAM, set PASSWORD_HASHING=scram in the function's environment",
        Vec::new(),
    )
}

/// A clone that would lose something if it acted as another role goes on acting as itself.
fn of_its_own(facts: &Facts, base: &str, clone: &str) -> Vec<Obstacle> {
    let mut found = Vec::new();
    let mut more: Vec<&str> = facts
        .memberships
        .iter()
        .map(|member| member.role.as_str())
        .collect();
    // one may be granted by several
    more.dedup();
    if !more.is_empty() {
        let revoke = facts
            .memberships
            .iter()
            .map(|member| roles::revoke_granted_by(&member.role, clone, member.grantor.as_deref()));
        found.push(Obstacle::warns(
            "CloneHasOwn",
            format!("{clone} is a member of {} by itself, and not through {base}", more.join(", ")),
            "so a REVOKE from the base role does not reach it; where the base has it too, as a superuser, run",
            revoke.collect(),
        ));
    }
    if facts.goes_on_as_itself() {
        let kinds = match (facts.own.objects, facts.own.grants) {
            (true, true) => "owns objects, and has grants",
            (true, false) => "owns objects",
            (false, true) => "has grants",
            (false, false) => "has memberships",
        };
        found.push(Obstacle::warns(
            "CloneHasOwn",
            format!("{clone} {kinds} of its own, so it goes on acting as itself"),
            "give the same grants to the base role, then, in each database, as a superuser, run",
            vec![roles::reassign(clone, base), roles::drop_owned(clone)],
        ));
    }
    found
}

impl Facts {
    /// Whether the clone would lose something if it began to act as the base role, or the owner.
    pub(super) fn goes_on_as_itself(&self) -> bool {
        let acts = self.present.iter().any(|set| set.name == "role");
        let more = self.memberships.iter().any(|member| !member.of_the_base);
        !acts && (self.own.objects || self.own.grants || more)
    }
}
