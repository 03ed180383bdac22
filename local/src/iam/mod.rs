//! IAM, as far as it decides whether a call is allowed: roles by access key, and the policies attached to them.
//!
//! A caller is known by the access key id that its SDK writes into the request; the signature is not looked at, so this
//! proves policies and keeps nobody out. A key that nobody restricted is the account's: it may do everything but what a
//! resource's policy denies it.
//!
//! Identity policies, a function's own policy towards a service, and a secret's policy, all in one account: an explicit deny
//! in any of them, then an allow in any, then deny by default. What this evaluator does not know, an element, a condition
//! operator or key, a policy variable, is an error that names it and never a silent yes or no. KMS keys are taken to have a
//! key policy that leaves it to IAM, as the console's default one does.
//!
//! | file | what |
//! |---|---|
//! | `policy` | the document and the decision |
//! | `condition` | the operators, and the keys that are known |
//! | `principal` | whom a statement of a resource's policy is about |
//! | `resource_policy` | such a policy, and what it decides |
//! | `sessions` | who may act as a role for an hour, and does |

mod condition;
mod policy;
mod principal;
mod resource_policy;
mod sessions;

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
};

use axum::http::{HeaderMap, header::AUTHORIZATION};
use chrono::{DateTime, Utc};
use serde_json::Value;

use self::sessions::Definition;
pub use self::{
    condition::{Keys, UnknownKey},
    policy::{Decision, Policy, PolicyError, Request, decide},
    resource_policy::ResourcePolicy,
    sessions::{Session, TokenError},
};
use crate::clock::Clock;

/// The account in every ARN here; it is the one that AWS's own examples use.
pub const ACCOUNT: &str = "123456789012";

/// The roles of this world. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Iam {
    state: Arc<Mutex<State>>,
    clock: Clock,
}

#[derive(Debug, Default)]
struct State {
    /// By access key id.
    keys: HashMap<String, Key>,
    /// By name.
    roles: HashMap<String, Definition>,
}

/// Whose an access key is.
#[derive(Debug)]
struct Key {
    role: String,
    session_name: String,
    /// The token, and the end, of one that AssumeRole gave.
    session: Option<(String, DateTime<Utc>)>,
}

impl Key {
    fn of(role: &str, session_name: &str) -> Self {
        Self {
            role: role.to_owned(),
            session_name: session_name.to_owned(),
            session: None,
        }
    }
}

/// A role that somebody acts as.
#[derive(Debug)]
pub struct Role {
    /// None of the account's own key.
    name: Option<String>,
    session: String,
    policies: Arc<[Policy]>,
}

/// Who holds a key that nobody restricted.
pub(crate) static ROOT: LazyLock<Role> = LazyLock::new(|| Role {
    name: None,
    session: String::new(),
    policies: Arc::default(),
});

/// Why a call is not let through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The policies do not allow it; the message is AWS's.
    #[error("{0}")]
    ByPolicy(String),
    /// A policy that applies to the call asks for something that this evaluator does not know.
    #[error(transparent)]
    Unjudged(#[from] UnknownKey),
}

impl Denied {
    /// The error's code, which every service here answers with.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::ByPolicy(_) => "AccessDeniedException",
            // neither allowed nor denied: not AWS's, and not to be taken for a denial
            Self::Unjudged(_) => "UnjudgedByLocalIam",
        }
    }
}

impl Iam {
    /// From now on, calls with this access key id are those of a role that is allowed what these policies allow, and that nobody
    /// can assume.
    ///
    /// # Errors
    ///
    /// A policy is not one, or has something in it that is not known here.
    pub fn restrict(
        &self,
        access_key_id: &str,
        role: &str,
        policies: &[Value],
    ) -> Result<(), PolicyError> {
        self.set(role, ResourcePolicy::default(), policies)?;
        self.give(access_key_id, role);
        Ok(())
    }

    /// Whose sessions end by this clock.
    pub(crate) fn new(clock: Clock) -> Self {
        let state = Arc::default();
        Self { state, clock }
    }

    /// The role behind a request, or `None` where its key is not restricted.
    ///
    /// # Errors
    ///
    /// The key is of a session that is over, or is not known.
    pub fn caller(&self, headers: &HeaderMap) -> Result<Option<Role>, TokenError> {
        let key = signed_for(headers).and_then(|mut scope| scope.next());
        let token = headers.get("x-amz-security-token");
        let token = token.and_then(|token| token.to_str().ok());
        match key {
            Some(key) => self.lock().holder(key, token, self.clock.now()),
            None => Ok(None),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a request was signed for, and with which key: access key id, date, region, service.
pub(crate) fn signed_for(headers: &HeaderMap) -> Option<impl Iterator<Item = &str>> {
    let authorization = headers.get(AUTHORIZATION)?.to_str().ok()?;
    // AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/secretsmanager/aws4_request, SignedHeaders=…
    let (_, credential) = authorization.split_once("Credential=")?;
    Some(credential.split('/'))
}

impl Role {
    fn new(name: &str, session: &str, policies: Arc<[Policy]>) -> Self {
        Self {
            name: Some(name.to_owned()),
            session: session.to_owned(),
            policies,
        }
    }

    /// Its name; none of the account's own key.
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The name of the session, `local` where nobody gave one.
    pub(crate) fn session(&self) -> &str {
        &self.session
    }

    /// A request's keys, and those that are about the caller.
    fn keys(&self, keys: &Keys) -> Keys {
        let mut keys = keys.clone();
        let kind = if self.is_root() {
            "Account"
        } else {
            "AssumedRole"
        };
        keys.set("aws:PrincipalAccount", [ACCOUNT]);
        keys.set("aws:PrincipalArn", [self.arn()]);
        keys.set("aws:PrincipalType", [kind]);
        keys
    }

    /// Whether the role may do this.
    ///
    /// # Errors
    ///
    /// It may not, or that cannot be said.
    pub fn check(&self, action: &str, resource: &str, keys: &Keys) -> Result<(), Denied> {
        self.check_with(None, action, resource, keys)
    }

    /// The same of a resource that may have a policy of its own.
    ///
    /// # Errors
    ///
    /// It may not, or that cannot be said.
    pub fn check_with(
        &self,
        policy: Option<&ResourcePolicy>,
        action: &str,
        resource: &str,
        keys: &Keys,
    ) -> Result<(), Denied> {
        let keys = self.keys(keys);
        let request = Request {
            action,
            resource,
            keys: &keys,
        };
        let own = match self.is_root() {
            true => Decision::Allowed,
            false => decide(&self.policies, &request)?,
        };
        let of_resource = match policy {
            Some(policy) => policy.decide(self, &request)?,
            None => Decision::NotAllowed,
        };
        let because = match (own, of_resource) {
            (Decision::Denied, _) => "with an explicit deny in an identity-based policy".to_owned(),
            (_, Decision::Denied) => "with an explicit deny in a resource-based policy".to_owned(),
            (Decision::Allowed, _) | (_, Decision::Allowed) => return Ok(()),
            (Decision::NotAllowed, Decision::NotAllowed) => {
                format!("because no identity-based policy allows the {action} action")
            }
        };
        let on = match resource {
            "*" => String::new(),
            resource => format!(" on resource: {resource}"),
        };
        Err(Denied::ByPolicy(format!(
            "User: {} is not authorized to perform: {action}{on} {because}",
            self.session_arn()
        )))
    }

    /// Whether this is the account's own key, which needs nobody's leave.
    pub(crate) fn is_root(&self) -> bool {
        self.name.is_none()
    }

    /// The role's ARN, which a resource's policy names it by.
    fn arn(&self) -> String {
        let rest = self.name.as_ref().map(|name| format!("role/{name}"));
        let rest = rest.unwrap_or_else(|| "root".to_owned());
        format!("arn:aws:iam::{ACCOUNT}:{rest}")
    }

    /// The ARN of who acts as the role.
    pub(crate) fn session_arn(&self) -> String {
        match &self.name {
            Some(name) => format!(
                "arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{}",
                self.session
            ),
            None => self.arn(),
        }
    }
}
