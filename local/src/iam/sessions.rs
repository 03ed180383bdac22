//! Roles that can be assumed, and their sessions.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use uuid::Uuid;

use super::{
    ACCOUNT, Denied, Iam, Key, Keys, Role, State,
    policy::{Decision, Policy, PolicyError, Request, decide},
    resource_policy::ResourcePolicy,
};

const ASSUME: &str = "sts:AssumeRole";

/// A defined role.
#[derive(Clone, Debug)]
pub(super) struct Definition {
    trust: ResourcePolicy,
    policies: Arc<[Policy]>,
}

/// The credentials from AssumeRole.
#[derive(Debug)]
pub struct Session {
    /// The role.
    pub role: Role,
    /// Calls with this key have the role.
    pub access_key_id: String,
    /// It is never checked.
    pub secret_access_key: SecretString,
    /// Each call must have it.
    pub token: SecretString,
    /// Its end, by the world's clock.
    pub expires: DateTime<Utc>,
}

/// Why the token of a call is refused, in AWS's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The session is over.
    #[error("The security token included in the request is expired")]
    Expired,
    /// There is no such session, or its token is another one.
    #[error("The security token included in the request is invalid.")]
    Invalid,
}

impl TokenError {
    /// The error's code in the JSON protocols.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Expired => "ExpiredTokenException",
            Self::Invalid => "UnrecognizedClientException",
        }
    }
}

impl Iam {
    /// Creates a role, or changes the policies of an existing one, also for its sessions.
    ///
    /// The `trust` policy says who may assume it. A session lasts at most one hour.
    ///
    /// # Errors
    ///
    /// A policy is invalid, or contains something unknown here.
    pub fn define(&self, role: &str, trust: &Value, policies: &[Value]) -> Result<(), PolicyError> {
        self.set(role, trust_policy(trust)?, policies)
    }

    pub(super) fn set(
        &self,
        role: &str,
        trust: ResourcePolicy,
        policies: &[Value],
    ) -> Result<(), PolicyError> {
        let policies = policies.iter().map(Policy::parse);
        let policies = policies.collect::<Result<_, _>>()?;
        let definition = Definition { trust, policies };
        self.lock().roles.insert(role.to_owned(), definition);
        Ok(())
    }

    /// Gives this access key id a role, as on a machine with an instance role.
    pub fn give(&self, access_key_id: &str, role: &str) {
        let key = Key::of(role, "local");
        self.lock().keys.insert(access_key_id.to_owned(), key);
    }

    /// AssumeRole.
    ///
    /// # Errors
    ///
    /// The caller may not assume the role. The error does not show whether the role exists.
    pub fn assume(
        &self,
        caller: &Role,
        role_arn: &str,
        session_name: &str,
        lasts: Duration,
        external_id: Option<&str>,
    ) -> Result<Session, Denied> {
        let mut state = self.lock();
        let name = role_arn.strip_prefix(&format!("arn:aws:iam::{ACCOUNT}:role/"));
        let named = name.and_then(|name| Some((name, state.roles.get(name)?)));
        let Some((name, definition)) = named else {
            return Err(not_authorized(caller, role_arn, ""));
        };
        let mut keys = caller.keys(&Keys::default());
        keys.set("sts:ExternalId", external_id);
        keys.set("sts:RoleSessionName", [session_name]);
        may_assume(caller, definition, role_arn, &keys)?;

        let session = Session {
            role: Role::new(name, session_name, definition.policies.clone()),
            access_key_id: format!("ASIA{}", &random()[..16]),
            secret_access_key: random().into(),
            token: (random() + &random()).into(),
            expires: self.clock.now() + lasts,
        };
        let key = Key {
            session: Some((session.token.expose_secret().to_owned(), session.expires)),
            ..Key::of(name, session_name)
        };
        state.keys.insert(session.access_key_id.clone(), key);
        Ok(session)
    }
}

impl State {
    /// The role of an access key, if it has one.
    pub(super) fn holder(
        &self,
        access_key_id: &str,
        token: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Option<Role>, TokenError> {
        let Some(key) = self.keys.get(access_key_id) else {
            // a session of another world, or of this world before a restart
            return match access_key_id.starts_with("ASIA") {
                true => Err(TokenError::Invalid),
                false => Ok(None),
            };
        };
        if let Some((expected, expires)) = &key.session {
            if token != Some(expected) {
                return Err(TokenError::Invalid);
            }
            if *expires <= now {
                return Err(TokenError::Expired);
            }
        }
        let policies = self.roles.get(&key.role).map(|role| role.policies.clone());
        let policies = policies.unwrap_or_default();
        Ok(Some(Role::new(&key.role, &key.session_name, policies)))
    }
}

/// Docs: the trust policy must allow it. If it names the caller, that is enough in the same account. If it allows the account, the
/// caller's own policies must allow it too.
fn may_assume(caller: &Role, role: &Definition, arn: &str, keys: &Keys) -> Result<(), Denied> {
    let request = Request {
        action: ASSUME,
        resource: arn,
        keys,
    };
    let own = match caller.is_root() {
        true => Decision::Allowed,
        false => decide(&caller.policies, &request)?,
    };
    let trust = role.trust.decide(caller, &request)?;
    let trusts_account = role.trust.decide_with_account(caller, &request)? == Decision::Allowed;
    let because = match (own, trust) {
        (Decision::Denied, _) => " with an explicit deny in an identity-based policy",
        (_, Decision::Denied) => " with an explicit deny in the role trust policy",
        (_, Decision::Allowed) => return Ok(()),
        (Decision::Allowed, Decision::NotAllowed) if trusts_account => return Ok(()),
        (Decision::NotAllowed, Decision::NotAllowed) if trusts_account => {
            " because no identity-based policy allows the sts:AssumeRole action"
        }
        // as recorded: a role that does not exist gets the same message
        (_, Decision::NotAllowed) => "",
    };
    Err(not_authorized(caller, arn, because))
}

fn not_authorized(caller: &Role, arn: &str, because: &str) -> Denied {
    Denied::ByPolicy(format!(
        "User: {} is not authorized to perform: {ASSUME} on resource: {arn}{because}",
        caller.session_arn()
    ))
}

/// A trust policy names no resource (docs): it always applies to its own role.
fn trust_policy(document: &Value) -> Result<ResourcePolicy, PolicyError> {
    let mut document = document.clone();
    let statements = match document.get_mut("Statement") {
        Some(Value::Array(statements)) => statements.iter_mut().collect(),
        statement => Vec::from_iter(statement),
    };
    for statement in statements {
        let sid = statement["Sid"].as_str().unwrap_or_default().to_owned();
        let Some(fields) = statement.as_object_mut() else {
            continue; // not a statement: the parser reports it
        };
        if fields.contains_key("Resource") || fields.contains_key("NotResource") {
            let what = "a Resource in a trust policy".to_owned();
            return Err(PolicyError::Unknown { sid, what });
        }
        fields.insert("Resource".to_owned(), "*".into());
    }
    ResourcePolicy::parse(&document)
}

fn random() -> String {
    Uuid::new_v4().simple().to_string().to_uppercase()
}
