//! Which roles the sessions of a pair act as, and which settings of the base the clone cannot get.

use tokio::join;
use tokio_postgres::types::Type;

use super::{
    Session, catalogs,
    errors::READS,
    facts::{Changer, PARAMETER_PRIVILEGE_SINCE},
    parameters::{self, Setting},
    session::Value,
};
use crate::engine::EngineError;

/// A role that a base is set to act as, but may not.
#[derive(Clone, Debug)]
pub(super) struct ForbiddenRole {
    pub(super) role: String,
    /// The statement that resets the setting.
    pub(super) reset: String,
}

/// The role that `ownerrole` names.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    pub(super) name: String,
    /// The base role may act as it.
    pub(super) of_the_base: bool,
    /// Kinds of things that the base role has and this one lacks.
    pub(super) lacks: Vec<String>,
}

/// The settings that make the clone act as the base role does, in each database; and the roles that the base role is set to act
/// as, but may not: then the server lets it act as itself.
pub(super) async fn acts(
    session: &Session,
    base: &str,
    owner: Option<&str>,
    settings: &[Setting],
    databases: Vec<Setting>,
    changer: &Changer,
) -> Result<(Vec<Setting>, Vec<ForbiddenRole>), EngineError> {
    let of = |database: Option<String>, value: &str| Setting {
        database,
        name: "role".to_owned(),
        value: value.to_owned(),
    };
    if let Some(owner) = owner {
        return Ok((vec![of(None, owner)], Vec::new()));
    }
    let set: Vec<_> = settings
        .iter()
        .filter(|set| set.name == "role" && set.unreadable().is_none())
        .collect();
    let everywhere = set.iter().find(|set| set.database.is_none());
    let mut acts: Vec<Setting> = set.iter().map(|set| (*set).clone()).collect();
    if everywhere.is_none() {
        acts.push(of(None, base));
        // a setting of a role takes precedence over a setting of a database
        let own = |database: &Option<String>| set.iter().any(|set| set.database == *database);
        acts.extend(databases.into_iter().filter(|acts| !own(&acts.database)));
    }
    let names: Vec<&str> = acts.iter().map(|acts| acts.value.as_str()).collect();
    let may = may_act_as(session, base, &names, changer).await?;
    let mut forbidden = Vec::new();
    for acts in &mut acts {
        if may.contains(&acts.value) {
            continue;
        }
        // a setting that another database's owner made for everyone needs no correction here
        if acts.value != "none" && set.iter().any(|set| **set == *acts) {
            forbidden.push(ForbiddenRole {
                role: acts.value.clone(),
                reset: parameters::acts_as_itself(base, acts),
            });
        }
        acts.value = base.to_owned();
    }
    let global = acts
        .iter()
        .find(|acts| acts.database.is_none())
        .map(|acts| acts.value.clone());
    acts.retain(|acts| acts.database.is_none() || Some(&acts.value) != global.as_ref());
    Ok((acts, forbidden))
}

async fn may_act_as(
    session: &Session,
    base: &str,
    names: &[&str],
    changer: &Changer,
) -> Result<Vec<String>, EngineError> {
    let question = format!(
        "SELECT r.rolname::pg_catalog.text FROM pg_catalog.pg_roles r, pg_catalog.pg_roles b \
         WHERE b.rolname OPERATOR(pg_catalog.=) $1 AND r.rolname OPERATOR(pg_catalog.=) ANY ($2) \
         AND pg_catalog.pg_has_role(b.oid, r.oid, '{}')",
        changer.acting()
    );
    let values: [Value<'_>; 2] = [(&base, Type::TEXT), (&names, Type::TEXT_ARRAY)];
    session
        .ask(&question, &values, READS, |row| row.try_get(0))
        .await
}

pub(super) async fn owner(
    session: &Session,
    base: &str,
    name: &str,
    changer: &Changer,
) -> Result<Owner, EngineError> {
    let names = [name];
    let (may, lacks) = join!(
        may_act_as(session, base, &names, changer),
        catalogs::lacks(session, base, name)
    );
    Ok(Owner {
        name: name.to_owned(),
        of_the_base: !may?.is_empty(),
        lacks: lacks?,
    })
}

/// Those of these parameters that an administrator may not set for others: those for superusers only, and those that no loaded
/// library knows.
pub(super) async fn forbidden(
    session: &Session,
    changer: &Changer,
    names: &[&str],
) -> Result<Vec<String>, EngineError> {
    if changer.superuser || names.is_empty() {
        return Ok(Vec::new());
    }
    let granted = match changer.version < PARAMETER_PRIVILEGE_SINCE {
        true => "false",
        false => "pg_catalog.has_parameter_privilege(n.name, 'SET')",
    };
    let question = format!(
        "SELECT DISTINCT n.name FROM pg_catalog.unnest($1) AS n (name) LEFT JOIN pg_catalog.pg_settings s \
         ON pg_catalog.lower(s.name) OPERATOR(pg_catalog.=) pg_catalog.lower(n.name) \
         WHERE (s.context OPERATOR(pg_catalog.~~) 'superuser%' OR pg_catalog.current_setting(n.name, true) IS NULL) \
         AND NOT {granted} ORDER BY 1"
    );
    let values: [Value<'_>; 1] = [(&names, Type::TEXT_ARRAY)];
    session
        .ask(&question, &values, READS, |row| row.try_get(0))
        .await
}
