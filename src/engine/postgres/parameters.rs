//! The run-time parameters that a role starts its sessions with.

use tokio_postgres::types::Type;

use super::{
    Session,
    errors::READS,
    roles,
    session::Value,
    text::{Text, UNREADABLE},
};
use crate::engine::EngineError;

/// A run-time parameter that a role starts its sessions with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) database: Option<String>,
    pub(super) name: String,
    pub(super) value: String,
}

impl Setting {
    /// A role can set values that fill the function's memory: more than this is not read.
    const LONGEST: usize = 16_384;

    /// Why it cannot be read, if so.
    pub(super) fn unreadable(&self) -> Option<&'static str> {
        let mut texts = [&self.name, &self.value].into_iter().chain(&self.database);
        if self.value.len() > Self::LONGEST {
            return Some("its value is too long to be read");
        }
        texts
            .any(|text| text.contains(UNREADABLE))
            .then_some("it is not UTF-8")
    }
}

/// All of a role's settings, in every database and in each.
pub(super) async fn settings(session: &Session, role: &str) -> Result<Vec<Setting>, EngineError> {
    let question = format!(
        "SELECT d.datname::pg_catalog.text, pg_catalog.substr(pg_catalog.textsend(c.setting), 1, {}) FROM pg_catalog.pg_db_role_setting s \
         JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) s.setrole \
         LEFT JOIN pg_catalog.pg_database d ON d.oid OPERATOR(pg_catalog.=) s.setdatabase, \
         pg_catalog.unnest(s.setconfig) AS c (setting) WHERE r.rolname OPERATOR(pg_catalog.=) $1",
        2 * Setting::LONGEST
    );
    let values: [Value<'_>; 1] = [(&role, Type::TEXT)];
    let settings = session.ask(&question, &values, READS, |row| {
        let (database, Text(setting)) = (row.try_get::<_, Option<Text>>(0)?, row.try_get(1)?);
        Ok(setting.split_once('=').map(|(name, value)| Setting {
            database: database.map(|Text(name)| name),
            name: name.to_owned(),
            value: value.to_owned(),
        }))
    });
    Ok(settings.await?.into_iter().flatten().collect())
}

/// The role that a session acts as because of its database's setting, if there is one.
pub(super) async fn databases_that_act(session: &Session) -> Result<Vec<Setting>, EngineError> {
    let question = "SELECT d.datname::pg_catalog.text, pg_catalog.substr(pg_catalog.textsend(c.setting), 6, 64) FROM pg_catalog.pg_db_role_setting s \
                    JOIN pg_catalog.pg_database d ON d.oid OPERATOR(pg_catalog.=) s.setdatabase, \
                    pg_catalog.unnest(s.setconfig) AS c (setting) \
                    WHERE s.setrole OPERATOR(pg_catalog.=) 0 AND c.setting OPERATOR(pg_catalog.~~) 'role=%'";
    let settings = session.ask(question, &[], READS, |row| {
        let (Text(database), Text(value)) = (row.try_get(0)?, row.try_get(1)?);
        Ok(Setting {
            database: Some(database),
            name: "role".to_owned(),
            value,
        })
    });
    settings.await
}

/// A statement that sets or resets a parameter of a role.
pub(super) struct Alteration<'a> {
    pub(super) parameter: &'a str,
    pub(super) sql: String,
    pub(super) resets: bool,
}

/// The statements that give `role` the settings `wanted`, where it has `present`.
pub(super) fn reconcile_settings<'a>(
    role: &str,
    wanted: &'a [Setting],
    present: &'a [Setting],
) -> Vec<Alteration<'a>> {
    let same_place = |a: &Setting, b: &Setting| a.name == b.name && a.database == b.database;
    let gone = present
        .iter()
        .filter(|setting| !wanted.iter().any(|wanted| same_place(wanted, setting)));
    let new = wanted.iter().filter(|setting| !present.contains(setting));
    let reset = gone.map(|setting| {
        let name = roles::name(&setting.name);
        Alteration {
            parameter: &setting.name,
            sql: format!("{} RESET {name}", alter(role, setting)),
            resets: true,
        }
    });
    let set = new.map(|setting| {
        let name = roles::name(&setting.name);
        let value = match LISTS.contains(&setting.name.as_str()) {
            true => list(&setting.value),
            false => roles::text(&setting.value),
        };
        Alteration {
            parameter: &setting.name,
            sql: format!("{} SET {name} TO {value}", alter(role, setting)),
            resets: false,
        }
    });
    reset.chain(set).collect()
}

/// Makes a role's sessions act as itself, where a setting says otherwise.
pub(super) fn acts_as_itself(role: &str, acts: &Setting) -> String {
    format!("{} RESET role", alter(role, acts))
}

fn alter(role: &str, setting: &Setting) -> String {
    let role = roles::name(role);
    match &setting.database {
        None => format!("ALTER ROLE {role}"),
        Some(database) => format!("ALTER ROLE {role} IN DATABASE {}", roles::name(database)),
    }
}

/// Parameters whose value is a list of identifiers (GUC_LIST_QUOTE in PostgreSQL's source).
const LISTS: [&str; 5] = [
    "search_path",
    "temp_tablespaces",
    "session_preload_libraries",
    "local_preload_libraries",
    "shared_preload_libraries",
];

/// Turns a list of identifiers, as the catalogs keep it, into a list of literals, as a statement needs it.
fn list(kept: &str) -> String {
    let mut items = vec![String::new()];
    let (mut quoted, mut rest) = (false, kept.chars().peekable());
    while let Some(c) = rest.next() {
        let last = items.len() - 1;
        match c {
            '"' if quoted && rest.next_if_eq(&'"').is_some() => items[last].push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => items.push(String::new()),
            ' ' if !quoted => {}
            c => items[last].push(c),
        }
    }
    let literals: Vec<_> = items.iter().map(|item| roles::text(item)).collect();
    literals.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_identifiers_is_written_as_literals() {
        for (kept, written) in [
            ("\"$user\", public", "'$user', 'public'"),
            ("\"a, b\", \"c\"\"d\", \"it's\"", "'a, b', 'c\"d', 'it''s'"),
            ("\"\"", "''"),
            ("", "''"),
        ] {
            assert_eq!(list(kept), written, "{kept}");
        }
    }
}
