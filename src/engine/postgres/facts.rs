//! What the catalogs say that a change of a role depends on, read before anything is changed.
//!
//! They say it to every role: nothing here needs a right.

use std::time::SystemTime;

use tokio_postgres::types::{ToSql, Type};

use super::{Session, errors::READS, roles};
use crate::engine::EngineError;

/// From this version on CREATEROLE alone does not let a role alter or grant others, and a membership has options.
pub(super) const ADMIN_OPTION_SINCE: i32 = 160_000;

/// Before this version a role may grant itself, and take itself away.
const GRANTS_ITSELF_BEFORE: i32 = 150_000;

/// From this version on a right to set a parameter can be granted.
pub(super) const PARAMETER_PRIVILEGE_SINCE: i32 = 150_000;

/// Who changes roles: an administrator, or the role itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Changer {
    /// The user that it logged in as.
    pub(super) user: String,
    /// `server_version_num`.
    pub(super) version: i32,
    pub(super) superuser: bool,
    pub(super) creates_roles: bool,
    /// A member of RDS's own administrators, who have more than the catalogs tell.
    pub(super) of_rds: bool,
    /// Where RDS restricts who sets passwords, it is not among them.
    pub(super) sets_no_passwords: bool,
    /// It may end other roles' sessions.
    pub(super) signals: bool,
}

/// A role, as everybody sees it.
#[derive(Clone, Debug, Default)]
pub(super) struct Role {
    pub(super) name: String,
    pub(super) superuser: bool,
    pub(super) replicates: bool,
    /// BYPASSRLS.
    pub(super) bypasses_policies: bool,
    pub(super) logs_in: bool,
    /// -1: any number.
    pub(super) connection_limit: i32,
    /// How many it has.
    pub(super) connections: i64,
    /// Its password has ended for good (`-infinity`), as revokeSecret does it.
    pub(super) ended: bool,
    /// When its password ends, or has, as the server writes it.
    pub(super) ends: Option<String>,
    /// The same, if that is yet to come.
    pub(super) promised: Option<SystemTime>,
    /// Who asks may alter and grant it, as far as ADMIN OPTION goes.
    pub(super) administered: bool,
}

/// Two roles that are called like a pair, and are none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Namesakes {
    /// The one is a member of the other, but not by the grant of who may grant roles.
    pub(super) by_its_own_grant: bool,
}

/// A role that a clone is a member of by itself.
#[derive(Clone, Debug)]
pub(super) struct Membership {
    pub(super) role: String,
    /// Who granted it, where a REVOKE has to name that role.
    pub(super) grantor: Option<String>,
    /// The base role is a member of it too, or is it.
    pub(super) of_the_base: bool,
}

/// What a clone has of its own, so that it would lose something if it began to act as another role.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Own {
    /// Objects that REASSIGN OWNED gives away.
    pub(super) objects: bool,
    /// Grants, policies, or user mappings.
    pub(super) grants: bool,
}

/// A role that a base is set to act as, and may not.
#[derive(Clone, Debug)]
pub(super) struct InVain {
    pub(super) role: String,
    /// The statement that ends it, where it is set.
    pub(super) reset: String,
}

/// The role that `ownerrole` names.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    pub(super) name: String,
    /// The base role may act as it.
    pub(super) of_the_base: bool,
    /// Kinds of things that the base role has and that this one lacks.
    pub(super) lacks: Vec<String>,
}

/// What is known of a pair of roles.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) changer: Changer,
    pub(super) base: Option<Role>,
    pub(super) clone: Option<Role>,
    /// They are no pair.
    pub(super) namesakes: Option<Namesakes>,
    /// What the clone is a member of by itself, but for the base.
    pub(super) memberships: Vec<Membership>,
    /// The clone's membership lets it act as the base, and gives it the base's rights.
    pub(super) membership_is_whole: bool,
    pub(super) own: Own,
    pub(super) owner: Option<Owner>,
    /// What the clone's settings are to be, and what it has.
    pub(super) wanted: Vec<roles::Setting>,
    pub(super) present: Vec<roles::Setting>,
    /// Parameters among them that the changer may not set.
    pub(super) forbidden: Vec<String>,
    /// Parameters of the base that no clone gets, and why.
    pub(super) kept_back: Vec<(String, &'static str)>,
    /// The base's sessions are set to act as roles that it may not act as.
    pub(super) acts_in_vain: Vec<InVain>,
}

/// Asks who changes roles.
pub(super) async fn changer(session: &Session) -> Result<Changer, EngineError> {
    let question = "SELECT pg_catalog.current_setting('server_version_num')::pg_catalog.int4, rolsuper, rolcreaterole, \
                        EXISTS (SELECT FROM pg_catalog.pg_roles rds WHERE rds.rolname OPERATOR(pg_catalog.=) 'rds_superuser' \
                                AND pg_catalog.pg_has_role(rds.oid, 'MEMBER')), \
                        EXISTS (SELECT FROM pg_catalog.pg_roles rds WHERE rds.rolname OPERATOR(pg_catalog.=) 'rds_password' \
                                AND pg_catalog.current_setting('rds.restrict_password_commands', true) \
                                    OPERATOR(pg_catalog.=) ANY ('{on,1}'::pg_catalog.text[]) \
                                AND NOT pg_catalog.pg_has_role(rds.oid, 'MEMBER')), \
                        pg_catalog.pg_has_role('pg_signal_backend', 'USAGE') \
                    FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) current_user";
    let rows = session.ask(question, &[], READS).await?;
    let user = session.user.clone();
    let Some(row) = rows.first() else {
        return Err(EngineError::Unable {
            what: "find the session's own role in the catalogs",
        });
    };
    Ok(Changer {
        user,
        version: row.get(0),
        superuser: row.get(1),
        creates_roles: row.get(2),
        of_rds: row.get(3),
        sets_no_passwords: row.get(4),
        signals: row.get(5),
    })
}

/// Asks about roles; those that do not exist are left out.
pub(super) async fn roles(session: &Session, names: &[&str]) -> Result<Vec<Role>, EngineError> {
    let question = "SELECT rolname::pg_catalog.text, rolsuper, rolreplication, rolbypassrls, rolcanlogin, rolconnlimit, \
                        (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity WHERE usesysid OPERATOR(pg_catalog.=) r.oid), \
                        CASE WHEN pg_catalog.isfinite(rolvaliduntil) THEN rolvaliduntil::pg_catalog.text END, \
                        CASE WHEN pg_catalog.isfinite(rolvaliduntil) AND rolvaliduntil OPERATOR(pg_catalog.>) pg_catalog.now() \
                             THEN rolvaliduntil END, \
                        pg_catalog.pg_has_role(oid, 'MEMBER WITH ADMIN OPTION'), \
                        coalesce(rolvaliduntil OPERATOR(pg_catalog.=) '-infinity', false) \
                    FROM pg_catalog.pg_roles r WHERE rolname OPERATOR(pg_catalog.=) ANY ($1)";
    let rows = session
        .ask(question, &[(&names, Type::TEXT_ARRAY)], READS)
        .await?;
    let role = |row: &tokio_postgres::Row| Role {
        name: row.get(0),
        superuser: row.get(1),
        replicates: row.get(2),
        bypasses_policies: row.get(3),
        logs_in: row.get(4),
        connection_limit: row.get(5),
        connections: row.get(6),
        ends: row.get(7),
        // a time that this clock cannot tell is no promise
        promised: row.try_get(8).ok().flatten(),
        administered: row.get(9),
        ended: row.get(10),
    };
    Ok(rows.iter().map(role).collect())
}

/// Why the server rejects a user, where that can be read: it has one answer, 28P01, for a wrong password and for these.
pub(super) async fn why_rejected(
    session: &Session,
    user: &str,
) -> Result<Option<&'static str>, EngineError> {
    let known = roles(session, &[user]).await?;
    Ok(match known.first() {
        None => Some("there is no such role"),
        Some(role) if role.ended || role.ends.is_some() && role.promised.is_none() => {
            Some("it has ended (VALID UNTIL)")
        }
        Some(_) => None,
    })
}

/// Asks all about a pair of roles, of which either may be missing.
pub(super) async fn pair(
    session: &Session,
    pair: &crate::document::Pair,
    owner: Option<&str>,
) -> Result<Facts, EngineError> {
    let (base, clone) = (pair.base.as_str(), pair.clone.as_str());
    let changer = changer(session).await?;
    let mut found = roles(session, &[base, clone]).await?.into_iter();
    let (mut of_base, mut of_clone) = (None, None);
    for role in found.by_ref() {
        match role.name == base {
            true => of_base = Some(role),
            false => of_clone = Some(role),
        }
    }
    let mut facts = Facts {
        changer,
        base: of_base,
        clone: of_clone,
        ..Facts::default()
    };
    if facts.base.is_none() {
        return Ok(facts);
    }
    if facts.clone.is_some() {
        facts.namesakes = namesakes(session, pair).await?;
        facts.memberships = memberships(session, base, clone, facts.changer.version).await?;
        facts.membership_is_whole = is_whole(session, base, clone, facts.changer.version).await?;
        facts.own = own(session, clone).await?;
        facts.present = roles::settings(session, clone).await?;
    }
    let settings = roles::settings(session, base).await?;
    let (acts, in_vain) = acts(session, base, owner, &settings, facts.changer.version).await?;
    facts.acts_in_vain = in_vain;
    facts.wanted = settings;
    let present = &facts.present;
    facts.wanted.retain(|setting| {
        let why = why_kept_back(setting).filter(|_| !present.contains(setting));
        facts
            .kept_back
            .extend(why.map(|why| (setting.name.clone(), why)));
        setting.name != "role" && why.is_none()
    });
    facts.wanted.extend(acts);
    if let Some(name) = owner {
        facts.owner = Some(self::owner(session, base, name, facts.changer.version).await?);
    }
    facts.forbidden = forbidden(session, &facts).await?;
    Ok(facts)
}

/// Whether two roles that both exist are only called like a pair.
///
/// They are one if the clone is a member of the base, as AWS's function and this one make it, or is set to act as it: only an
/// administrator and the clone itself can have set that, so it counts where the base took its membership away. A base that grants
/// itself proves nothing.
pub(super) async fn namesakes(
    session: &Session,
    pair: &crate::document::Pair,
) -> Result<Option<Namesakes>, EngineError> {
    let question = format!(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_auth_members m WHERE m.roleid OPERATOR(pg_catalog.=) b.oid \
                        AND m.member OPERATOR(pg_catalog.=) c.oid) \
         FROM pg_catalog.pg_roles b, pg_catalog.pg_roles c \
         WHERE b.rolname OPERATOR(pg_catalog.=) $1 AND c.rolname OPERATOR(pg_catalog.=) $2 \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_auth_members m \
             LEFT JOIN pg_catalog.pg_roles g ON g.oid OPERATOR(pg_catalog.=) m.grantor \
             WHERE m.roleid OPERATOR(pg_catalog.=) b.oid AND m.member OPERATOR(pg_catalog.=) c.oid \
             AND (g.oid IS NULL OR g.rolsuper OR g.rolcreaterole OR pg_catalog.current_setting('server_version_num')::pg_catalog.int4 \
                  OPERATOR(pg_catalog.>=) {GRANTS_ITSELF_BEFORE})) \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) AS set (setting) \
             WHERE s.setrole OPERATOR(pg_catalog.=) c.oid \
             AND set.setting OPERATOR(pg_catalog.=) ('role=' OPERATOR(pg_catalog.||) b.rolname::pg_catalog.text))"
    );
    let (base, clone) = (pair.base.as_str(), pair.clone.as_str());
    let values: [(&(dyn ToSql + Sync), Type); 2] = [(&base, Type::TEXT), (&clone, Type::TEXT)];
    let rows = session.ask(&question, &values, READS).await?;
    Ok(rows.first().map(|row| Namesakes {
        by_its_own_grant: row.get(0),
    }))
}

async fn memberships(
    session: &Session,
    base: &str,
    clone: &str,
    version: i32,
) -> Result<Vec<Membership>, EngineError> {
    // a REVOKE takes away what the same grantor has granted
    let grantor = match version < ADMIN_OPTION_SINCE {
        true => "NULL",
        false => "pg_catalog.pg_get_userbyid(m.grantor)",
    };
    let question = format!(
        "SELECT DISTINCT g.rolname::pg_catalog.text, pg_catalog.pg_has_role(b.oid, g.oid, 'MEMBER'), {grantor}::pg_catalog.text \
         FROM pg_catalog.pg_auth_members m \
         JOIN pg_catalog.pg_roles g ON g.oid OPERATOR(pg_catalog.=) m.roleid \
         JOIN pg_catalog.pg_roles u ON u.oid OPERATOR(pg_catalog.=) m.member, pg_catalog.pg_roles b \
         WHERE u.rolname OPERATOR(pg_catalog.=) $1 AND b.rolname OPERATOR(pg_catalog.=) $2 \
         AND m.roleid OPERATOR(pg_catalog.<>) b.oid ORDER BY 1, 3"
    );
    let rows = session
        .ask(
            &question,
            &[(&clone, Type::TEXT), (&base, Type::TEXT)],
            READS,
        )
        .await?;
    let membership = |row: &tokio_postgres::Row| Membership {
        role: row.get(0),
        of_the_base: row.get(1),
        grantor: row.get(2),
    };
    Ok(rows.iter().map(membership).collect())
}

/// A role may set for itself, or the clone for its base, what would keep the other one from its turn.
fn why_kept_back(setting: &roles::Setting) -> Option<&'static str> {
    if setting.is_cut() {
        return Some("its value is too long to be read");
    }
    let is_library = setting.name == "local_preload_libraries";
    is_library.then_some("a library that is not there would keep it from logging in")
}

async fn is_whole(
    session: &Session,
    base: &str,
    clone: &str,
    version: i32,
) -> Result<bool, EngineError> {
    // before its options, a membership alone lets its holder act as the role
    let acts = match version < ADMIN_OPTION_SINCE {
        true => "MEMBER",
        false => "SET",
    };
    let question = format!(
        "SELECT pg_catalog.pg_has_role(c.oid, b.oid, '{acts}') AND pg_catalog.pg_has_role(c.oid, b.oid, 'USAGE') \
         FROM pg_catalog.pg_roles b, pg_catalog.pg_roles c \
         WHERE b.rolname OPERATOR(pg_catalog.=) $1 AND c.rolname OPERATOR(pg_catalog.=) $2"
    );
    let rows = session
        .ask(
            &question,
            &[(&base, Type::TEXT), (&clone, Type::TEXT)],
            READS,
        )
        .await?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

/// In any database. Default privileges are left out: nothing that exists depends on them, and REASSIGN OWNED leaves them.
async fn own(session: &Session, role: &str) -> Result<Own, EngineError> {
    let question = "SELECT coalesce(pg_catalog.bool_or(mine AND NOT mapping), false), \
                           coalesce(pg_catalog.bool_or(NOT mine OR mapping), false) FROM (\
                        SELECT d.deptype OPERATOR(pg_catalog.=) 'o' AS mine, d.classid OPERATOR(pg_catalog.=) \
                               'pg_catalog.pg_user_mapping'::pg_catalog.regclass AS mapping \
                        FROM pg_catalog.pg_shdepend d JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) d.refobjid \
                        WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_authid'::pg_catalog.regclass \
                        AND d.classid OPERATOR(pg_catalog.<>) ALL (ARRAY['pg_catalog.pg_default_acl'::pg_catalog.regclass, \
                            'pg_catalog.pg_auth_members'::pg_catalog.regclass]::pg_catalog.oid[]) \
                        AND r.rolname OPERATOR(pg_catalog.=) $1) AS own";
    let rows = session.ask(question, &[(&role, Type::TEXT)], READS).await?;
    Ok(rows.first().map_or_else(Own::default, |row| Own {
        objects: row.get(0),
        grants: row.get(1),
    }))
}

/// The settings that have the clone act as the base role does, in each database; and the roles that this one is set to act as, and
/// may not: the server lets it act as itself then.
async fn acts(
    session: &Session,
    base: &str,
    owner: Option<&str>,
    settings: &[roles::Setting],
    version: i32,
) -> Result<(Vec<roles::Setting>, Vec<InVain>), EngineError> {
    let of = |database: Option<String>, value: &str| roles::Setting {
        database,
        name: "role".to_owned(),
        value: value.to_owned(),
    };
    if let Some(owner) = owner {
        return Ok((vec![of(None, owner)], Vec::new()));
    }
    let set: Vec<_> = settings
        .iter()
        .filter(|set| set.name == "role" && !set.is_cut())
        .collect();
    let everywhere = set.iter().find(|set| set.database.is_none());
    let mut acts: Vec<roles::Setting> = set.iter().map(|set| (*set).clone()).collect();
    if everywhere.is_none() {
        acts.push(of(None, base));
        // what is set for a database stands back behind what is set for a role
        let databases = roles::databases_that_act(session).await?;
        let own = |database: &Option<String>| set.iter().any(|set| set.database == *database);
        acts.extend(databases.into_iter().filter(|acts| !own(&acts.database)));
    }
    let names: Vec<&str> = acts.iter().map(|acts| acts.value.as_str()).collect();
    let may = may_act_as(session, base, &names, version).await?;
    let mut in_vain = Vec::new();
    for acts in &mut acts {
        if may.contains(&acts.value) {
            continue;
        }
        // what another database's owner has set for all is nothing to correct here
        if acts.value != "none" && set.iter().any(|set| **set == *acts) {
            in_vain.push(InVain {
                role: acts.value.clone(),
                reset: roles::acts_as_itself(base, acts),
            });
        }
        acts.value = base.to_owned();
    }
    let global = acts
        .iter()
        .find(|acts| acts.database.is_none())
        .map(|acts| acts.value.clone());
    acts.retain(|acts| acts.database.is_none() || Some(&acts.value) != global.as_ref());
    Ok((acts, in_vain))
}

async fn may_act_as(
    session: &Session,
    base: &str,
    names: &[&str],
    version: i32,
) -> Result<Vec<String>, EngineError> {
    let acts = match version < ADMIN_OPTION_SINCE {
        true => "MEMBER",
        false => "SET",
    };
    let question = format!(
        "SELECT r.rolname::pg_catalog.text FROM pg_catalog.pg_roles r, pg_catalog.pg_roles b \
         WHERE b.rolname OPERATOR(pg_catalog.=) $1 AND r.rolname OPERATOR(pg_catalog.=) ANY ($2) \
         AND pg_catalog.pg_has_role(b.oid, r.oid, '{acts}')"
    );
    let rows = session
        .ask(
            &question,
            &[(&base, Type::TEXT), (&names, Type::TEXT_ARRAY)],
            READS,
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

async fn owner(
    session: &Session,
    base: &str,
    name: &str,
    version: i32,
) -> Result<Owner, EngineError> {
    let may = may_act_as(session, base, &[name], version).await?;
    Ok(Owner {
        name: name.to_owned(),
        of_the_base: !may.is_empty(),
        lacks: roles::lacks(session, base, name).await?,
    })
}

/// Of what the clone's settings are to be, what an administrator may not set for others: what only a superuser may, and what no
/// library that is loaded knows.
async fn forbidden(session: &Session, facts: &Facts) -> Result<Vec<String>, EngineError> {
    if facts.changer.superuser {
        return Ok(Vec::new());
    }
    let new = facts
        .wanted
        .iter()
        .filter(|set| !facts.present.contains(set));
    let names: Vec<&str> = new.map(|set| set.name.as_str()).collect();
    let granted = match facts.changer.version < PARAMETER_PRIVILEGE_SINCE {
        true => "false",
        false => "pg_catalog.has_parameter_privilege(n.name, 'SET')",
    };
    let question = format!(
        "SELECT DISTINCT n.name FROM pg_catalog.unnest($1) AS n (name) LEFT JOIN pg_catalog.pg_settings s \
         ON pg_catalog.lower(s.name) OPERATOR(pg_catalog.=) pg_catalog.lower(n.name) \
         WHERE (s.context OPERATOR(pg_catalog.~~) 'superuser%' OR pg_catalog.current_setting(n.name, true) IS NULL) \
         AND NOT {granted} ORDER BY 1"
    );
    let rows = session
        .ask(&question, &[(&names, Type::TEXT_ARRAY)], READS)
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
