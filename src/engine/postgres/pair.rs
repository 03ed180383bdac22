//! What the catalogs say about a pair of roles.

use tokio::join;
use tokio_postgres::types::Type;

use super::{
    Session, acts,
    errors::READS,
    facts::{self, Changer, Role},
    parameters::{self, Setting},
    session::Value,
    text::Text,
};
use crate::{document::Pair, engine::EngineError};

/// Before this version a role may grant membership in itself, and take it away.
const GRANTS_ITSELF_BEFORE: i32 = 150_000;

/// Two roles that have the names of a pair, and are none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Namesakes {
    /// One is a member of the other, but the grantor may not grant roles.
    pub(super) by_its_own_grant: bool,
}

/// A role that a clone is a direct member of.
#[derive(Clone, Debug)]
pub(super) struct Membership {
    pub(super) role: String,
    /// The grantor, if a REVOKE must name it.
    pub(super) grantor: Option<String>,
    /// The base role is a member of it too, or is that role.
    pub(super) of_the_base: bool,
}

/// What a clone has itself, and would lose if it began to act as another role.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Own {
    /// Objects that REASSIGN OWNED gives away.
    pub(super) objects: bool,
    /// Grants, policies, or user mappings.
    pub(super) grants: bool,
}

/// What is known about a pair of roles.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) changer: Changer,
    pub(super) base: Option<Role>,
    pub(super) clone: Option<Role>,
    /// Set if they are no pair.
    pub(super) namesakes: Option<Namesakes>,
    /// The clone's direct memberships, except the one in the base.
    pub(super) memberships: Vec<Membership>,
    /// The clone's membership lets it act as the base, and gives it the base's rights.
    pub(super) membership_is_whole: bool,
    pub(super) own: Own,
    pub(super) owner: Option<acts::Owner>,
    /// The settings that the clone must get, and those that it has.
    pub(super) wanted: Vec<Setting>,
    pub(super) present: Vec<Setting>,
    /// Those parameters that the changer may not set.
    pub(super) forbidden: Vec<String>,
    /// Parameters of the base that no clone gets, and why.
    pub(super) kept_back: Vec<(String, &'static str)>,
    /// Roles that the base's sessions are set to act as, but may not.
    pub(super) forbidden_roles: Vec<acts::ForbiddenRole>,
}

impl Facts {
    /// The one of the two with this name, if it exists.
    pub(super) fn role(&self, name: &str) -> Option<&Role> {
        let roles = [&self.base, &self.clone].into_iter().flatten();
        roles.into_iter().find(|role| role.name == name)
    }

    pub(super) fn role_mut(&mut self, name: &str) -> Option<&mut Role> {
        let roles = [&mut self.base, &mut self.clone].into_iter().flatten();
        roles.into_iter().find(|role| role.name == name)
    }

    /// Whether the clone would lose something if it began to act as the base role, or the owner.
    pub(super) fn keeps_acting_as_itself(&self) -> bool {
        let acts = self.present.iter().any(|set| set.name == "role");
        let more = self.memberships.iter().any(|member| !member.of_the_base);
        !acts && (self.own.objects || self.own.grants || more)
    }
}

/// Reads everything about a pair of roles, either of which may be missing.
///
/// Questions that need no other answer are sent together: then they cost one way to the server and back. The first error in their
/// order is the reason: the server has then aborted the transaction, and refuses the later ones.
pub(super) async fn of(
    session: &Session,
    pair: &Pair,
    owner: Option<&str>,
) -> Result<Facts, EngineError> {
    let (base, clone) = (pair.base.as_str(), pair.clone.as_str());
    let both = [base, clone];
    let (changer, known) = join!(facts::changer(session), facts::roles(session, &both));
    let (changer, known) = (changer?, known?);
    let known = |name: &str| known.iter().find(|role| role.name == name).cloned();
    let mut facts = Facts {
        changer,
        base: known(base),
        clone: known(clone),
        ..Facts::default()
    };
    if facts.base.is_none() {
        return Ok(facts);
    }
    let (namesakes, memberships, whole, own, present, settings, databases) = join!(
        namesakes(session, pair),
        memberships(session, base, clone, &facts.changer),
        is_whole(session, base, clone, &facts.changer),
        own(session, clone),
        parameters::settings(session, clone),
        parameters::settings(session, base),
        parameters::databases_that_act(session),
    );
    facts.namesakes = namesakes?;
    facts.memberships = memberships?;
    facts.membership_is_whole = whole?;
    facts.own = own?;
    facts.present = present?;
    let (settings, databases) = (settings?, databases?);
    let (acts, forbidden) =
        acts::acts(session, base, owner, &settings, databases, &facts.changer).await?;
    facts.forbidden_roles = forbidden;
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
        facts.owner = Some(acts::owner(session, base, name, &facts.changer).await?);
    }
    let (wanted, present) = (&facts.wanted, &facts.present);
    let new = wanted.iter().filter(|set| !present.contains(set));
    let new: Vec<&str> = new.map(|set| set.name.as_str()).collect();
    facts.forbidden = acts::forbidden(session, &facts.changer, &new).await?;
    Ok(facts)
}

/// Whether two existing roles only have the names of a pair.
///
/// They are a pair if the clone is a member of the base, as AWS's function and this one set it up, or is set to act as it: only
/// an administrator and the clone itself can set that, so it counts even if the base revoked the membership. A grant by the
/// base itself proves nothing.
pub(super) async fn namesakes(
    session: &Session,
    pair: &Pair,
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
    let values: [Value<'_>; 2] = [(&base, Type::TEXT), (&clone, Type::TEXT)];
    let namesakes = session.ask(&question, &values, READS, |row| {
        let by_its_own_grant = row.try_get(0)?;
        Ok(Namesakes { by_its_own_grant })
    });
    Ok(namesakes.await?.pop())
}

async fn memberships(
    session: &Session,
    base: &str,
    clone: &str,
    changer: &Changer,
) -> Result<Vec<Membership>, EngineError> {
    // a REVOKE only revokes what the same grantor has granted
    let grantor = match changer.grants_with_options() {
        true => "pg_catalog.pg_get_userbyid(m.grantor)",
        false => "NULL",
    };
    let question = format!(
        "SELECT DISTINCT g.rolname::pg_catalog.text, pg_catalog.pg_has_role(b.oid, g.oid, 'MEMBER'), {grantor}::pg_catalog.text \
         FROM pg_catalog.pg_auth_members m \
         JOIN pg_catalog.pg_roles g ON g.oid OPERATOR(pg_catalog.=) m.roleid \
         JOIN pg_catalog.pg_roles u ON u.oid OPERATOR(pg_catalog.=) m.member, pg_catalog.pg_roles b \
         WHERE u.rolname OPERATOR(pg_catalog.=) $1 AND b.rolname OPERATOR(pg_catalog.=) $2 \
         AND m.roleid OPERATOR(pg_catalog.<>) b.oid ORDER BY 1, 3"
    );
    let values: [Value<'_>; 2] = [(&clone, Type::TEXT), (&base, Type::TEXT)];
    let memberships = session.ask(&question, &values, READS, |row| {
        Ok(Membership {
            role: row.try_get::<_, Text>(0)?.0,
            of_the_base: row.try_get(1)?,
            grantor: row.try_get::<_, Option<Text>>(2)?.map(|name| name.0),
        })
    });
    memberships.await
}

/// A role can set for itself, or the clone for its base, a value that would keep the other role from its turn.
fn why_kept_back(setting: &Setting) -> Option<&'static str> {
    let is_library = setting.name == "local_preload_libraries";
    let library = is_library.then_some("a missing library would keep it from logging in");
    setting.unreadable().or(library)
}

async fn is_whole(
    session: &Session,
    base: &str,
    clone: &str,
    changer: &Changer,
) -> Result<bool, EngineError> {
    let question = format!(
        "SELECT pg_catalog.pg_has_role(c.oid, b.oid, '{}') AND pg_catalog.pg_has_role(c.oid, b.oid, 'USAGE') \
         FROM pg_catalog.pg_roles b, pg_catalog.pg_roles c \
         WHERE b.rolname OPERATOR(pg_catalog.=) $1 AND c.rolname OPERATOR(pg_catalog.=) $2",
        changer.acting()
    );
    let values: [Value<'_>; 2] = [(&base, Type::TEXT), (&clone, Type::TEXT)];
    let whole = session.ask(&question, &values, READS, |row| row.try_get(0));
    Ok(whole.await?.contains(&true))
}

/// In any database. Default privileges do not count: nothing that exists depends on them, and REASSIGN OWNED keeps them.
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
    let values: [Value<'_>; 1] = [(&role, Type::TEXT)];
    let own = session.ask(question, &values, READS, |row| {
        let (objects, grants) = (row.try_get(0)?, row.try_get(1)?);
        Ok(Own { objects, grants })
    });
    Ok(own.await?.pop().unwrap_or_default())
}
