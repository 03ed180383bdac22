//! What else knows a role's password, or depends on its name (feature `doctor`): a rotation does not change it.

use tokio_postgres::types::Type;

use super::{Session, errors::READS, session::Value, text::Text};
use crate::engine::{EngineError, Obstacle};

/// User mappings of postgres_fdw and dblink and subscriptions that name one of these users, if the session may see them, and
/// connections that replicate as one of them: they hold a copy of the password.
pub(super) async fn of(session: &Session, users: &[&str]) -> Result<Vec<Obstacle>, EngineError> {
    let may = "SELECT pg_catalog.has_column_privilege('pg_catalog.pg_subscription', 'subconninfo', 'SELECT')";
    let may = session.ask(may, &[], READS, |row| row.try_get(0)).await?;
    let subscriptions = match may.contains(&true) {
        false => "",
        true => {
            "UNION ALL SELECT u.name, 'the subscription ' OPERATOR(pg_catalog.||) s.subname::pg_catalog.text \
             FROM pg_catalog.pg_subscription s, u WHERE s.subconninfo OPERATOR(pg_catalog.~) \
             ('\\muser\\s*=\\s*''?' OPERATOR(pg_catalog.||) pg_catalog.regexp_replace(u.name, '(\\W)', '\\\\\\1', 'g') \
              OPERATOR(pg_catalog.||) '(''|\\s|$)')"
        }
    };
    let question = format!(
        "WITH u AS (SELECT name FROM pg_catalog.unnest($1) AS n (name)) \
         SELECT DISTINCT u.name, 'the user mapping of ' OPERATOR(pg_catalog.||) m.usename::pg_catalog.text \
             OPERATOR(pg_catalog.||) ' for ' OPERATOR(pg_catalog.||) m.srvname::pg_catalog.text \
         FROM pg_catalog.pg_user_mappings m, u \
         WHERE ('user=' OPERATOR(pg_catalog.||) u.name) OPERATOR(pg_catalog.=) ANY (m.umoptions) \
         UNION SELECT u.name, 'a connection that replicates (' OPERATOR(pg_catalog.||) coalesce(a.application_name, '') OPERATOR(pg_catalog.||) ')' \
         FROM pg_catalog.pg_stat_activity a, u WHERE a.usename OPERATOR(pg_catalog.=) u.name \
         AND a.backend_type OPERATOR(pg_catalog.=) 'walsender' {subscriptions} ORDER BY 1, 2"
    );
    let values: [Value<'_>; 1] = [(&users, Type::TEXT_ARRAY)];
    let copies = session.ask(&question, &values, READS, |row| {
        let (Text(user), Text(place)) = (row.try_get(0)?, row.try_get(1)?);
        Ok(Obstacle::warns(
            "PasswordElsewhere",
            format!("{place} uses {user}, and keeps a password that no rotation changes"),
            "give it a role of its own",
            Vec::new(),
        ))
    });
    copies.await
}

/// Policies and defaults that use session_user, which changes with every rotation of alternating users.
pub(super) async fn by_session_user(
    session: &Session,
    user: &str,
) -> Result<Vec<Obstacle>, EngineError> {
    // the server writes the keyword in capitals; a column can have the same name in lower case
    let question = "SELECT place FROM (\
            SELECT 'the policy ' OPERATOR(pg_catalog.||) p.polname::pg_catalog.text OPERATOR(pg_catalog.||) ' of ' \
                   OPERATOR(pg_catalog.||) p.polrelid::pg_catalog.regclass::pg_catalog.text AS place, \
                   pg_catalog.concat(pg_catalog.pg_get_expr(p.polqual, p.polrelid), pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)) AS text \
            FROM pg_catalog.pg_policy p \
            UNION ALL SELECT 'the default of ' OPERATOR(pg_catalog.||) d.adrelid::pg_catalog.regclass::pg_catalog.text \
                   OPERATOR(pg_catalog.||) '.' OPERATOR(pg_catalog.||) a.attname::pg_catalog.text, pg_catalog.pg_get_expr(d.adbin, d.adrelid) \
            FROM pg_catalog.pg_attrdef d JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) d.adrelid \
                 AND a.attnum OPERATOR(pg_catalog.=) d.adnum) AS places \
        WHERE text OPERATOR(pg_catalog.~) '\\mSESSION_USER\\M' ORDER BY place LIMIT 5";
    let places = session.ask(question, &[], READS, |row| row.try_get(0));
    let places: Vec<String> = places.await?;
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let what = format!(
        "session_user changes with every rotation of {user}, and is used by {}",
        places.join(", ")
    );
    let advice = "let them use current_user, which is the same for both users";
    Ok(vec![Obstacle::warns(
        "BySessionUser",
        what,
        advice,
        Vec::new(),
    )])
}
