//! What makes a clone unlike its base: what it does not get, and what it has itself.

use super::{
    facts::{PARAMETER_PRIVILEGE_SINCE, Role},
    pair::Facts,
    roles,
};
use crate::engine::Obstacle;

pub(super) fn of_the_owner(facts: &Facts, base: &str, clone: &str) -> Vec<Obstacle> {
    let Some(owner) = &facts.owner else {
        return Vec::new();
    };
    let mut found = Vec::new();
    if !owner.of_the_base {
        found.push(Obstacle::stops(
            "OwnerRoleNotGranted",
            format!("the secret's \"ownerrole\" is {}, and {base} may not act as it: a secret's value grants no role", owner.name),
            "correct the secret, or, as a superuser, run",
            vec![roles::grant_acting(
                &owner.name,
                base,
                facts.changer.grants_with_options(),
            )],
        ));
    } else if !owner.lacks.is_empty() {
        found.push(Obstacle::stops(
            "OwnerRoleLacks",
            format!(
                "{base} and {clone} would act as \"ownerrole\", {}, which lacks what {base} itself has: {}",
                owner.name,
                owner.lacks.join(", ")
            ),
            "grant the same to the owner role, or remove \"ownerrole\" from the secret, then rotate again; if the difference is intended, \
             and tested, run",
            vec![roles::act_as(base, &owner.name)],
        ));
    }
    found
}

/// What the base role has and the clone does not get, because the administrator may not give it.
pub(super) fn not_copied(facts: &Facts, base: &Role, clone: &str) -> Vec<Obstacle> {
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
        // the value may be a secret of the application
        let (advice, sql) = match facts.changer.version < PARAMETER_PRIVILEGE_SINCE {
            true => (
                "if the application needs it, set it for that role too, as a superuser",
                Vec::new(),
            ),
            false => (
                "if the application needs it, as a superuser, run",
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
                "{clone} does not get the setting {name} of {}, because {why}",
                base.name
            ),
            "if the application needs it, set it for that role too, as a superuser",
            Vec::new(),
        ));
    }
    for forbidden in &facts.forbidden_roles {
        let role = &forbidden.role;
        found.push(Obstacle::warns(
            "ActingForbidden",
            format!(
                "{} is set to act as {role}, but may not: the server lets it act as itself",
                base.name
            ),
            "correct it; as a superuser, run one of",
            vec![
                roles::grant_acting(role, &base.name, facts.changer.grants_with_options()),
                forbidden.reset.clone(),
            ],
        ));
    }
    found
}

/// A clone that would lose something by acting as another role still acts as itself.
pub(super) fn of_its_own(facts: &Facts, base: &str, clone: &str) -> Vec<Obstacle> {
    let mut found = Vec::new();
    let mut more: Vec<&str> = facts
        .memberships
        .iter()
        .map(|member| member.role.as_str())
        .collect();
    // several roles may have granted the same one
    more.dedup();
    if !more.is_empty() {
        let revoke = facts
            .memberships
            .iter()
            .map(|member| roles::revoke_granted_by(&member.role, clone, member.grantor.as_deref()));
        found.push(Obstacle::warns(
            "CloneHasOwn",
            format!("{clone} is a member of {} by itself, and not through {base}", more.join(", ")),
            "a REVOKE from the base role does not end that; if the base has the same membership, as a superuser, run",
            revoke.collect(),
        ));
    }
    if facts.keeps_acting_as_itself() {
        let kinds = match (facts.own.objects, facts.own.grants) {
            (true, true) => "owns objects, and has grants",
            (true, false) => "owns objects",
            (false, true) => "has grants",
            (false, false) => "has memberships",
        };
        found.push(Obstacle::warns(
            "CloneHasOwn",
            format!("{clone} {kinds} of its own, so it still acts as itself"),
            "give the same grants to the base role, then, in each database, as a superuser, run",
            vec![roles::reassign(clone, base), roles::drop_owned(clone)],
        ));
    }
    found
}
