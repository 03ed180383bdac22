//! IAM: roles by access key, and the policies that decide whether a call is allowed.
//!
//! A caller is identified by the access key id in the signature of the request. The signature itself is ignored: this tests policies,
//! and protects nothing. A key without restrictions belongs to the account: it may do all that no resource's policy denies.
//!
//! It evaluates identity policies, a function's policy for a service, and a secret's policy, all in one account. An explicit deny in
//! any of them decides first, then an allow in any; the default is deny. An unknown element, condition operator, condition key or
//! policy variable is an error that names it, never a silent yes or no. KMS keys have the console's default key policy: it
//! delegates to IAM.
//!
//! | file | what |
//! |---|---|
//! | `policy` | the document and the decision |
//! | `condition` | the known operators and keys |
//! | `principal` | the principals of a statement in a resource's policy |
//! | `resource_policy` | a resource's policy, and what it decides |
//! | `sessions` | roles that callers may assume, and their sessions |

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

/// The account in every ARN here: the one in AWS's own examples.
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

/// The owner of an access key.
#[derive(Debug)]
struct Key {
    role: String,
    session_name: String,
    /// The token and the expiry of a key from AssumeRole.
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

/// A role that a caller acts as.
#[derive(Debug)]
pub struct Role {
    /// None for the account's key.
    name: Option<String>,
    session: String,
    policies: Arc<[Policy]>,
}

/// A caller with a key without restrictions.
pub(crate) static ROOT: LazyLock<Role> = LazyLock::new(|| Role {
    name: None,
    session: String::new(),
    policies: Arc::default(),
});

/// Why a call is denied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The policies do not allow it; the message is AWS's.
    #[error("{0}")]
    ByPolicy(String),
    /// A policy that applies to the call uses something unknown to this evaluator.
    #[error(transparent)]
    Unjudged(#[from] UnknownKey),
}

impl Denied {
    /// The error's code in every service here.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::ByPolicy(_) => "AccessDeniedException",
            // not an AWS code: nobody must read it as a denial
            Self::Unjudged(_) => "UnjudgedByLocalIam",
        }
    }
}

impl Iam {
    /// Restricts this access key id: its calls get a role that may do only what these policies allow. Nobody can assume the role.
    ///
    /// # Errors
    ///
    /// A policy is invalid, or contains something unknown here.
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

    /// Sessions end by this clock.
    pub(crate) fn new(clock: Clock) -> Self {
        let state = Arc::default();
        Self { state, clock }
    }

    /// The role of a request, or `None` if its key is not restricted.
    ///
    /// # Errors
    ///
    /// The key's session has expired or is unknown.
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

/// The credential scope of a request's signature: access key id, date, region, service.
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

    /// Its name. None for the account's key.
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The name of the session, `local` by default.
    pub(crate) fn session(&self) -> &str {
        &self.session
    }

    /// The condition keys of the request, plus those of the caller.
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
    /// It may not, or the policy cannot be evaluated.
    pub fn check(&self, action: &str, resource: &str, keys: &Keys) -> Result<(), Denied> {
        self.check_with(None, action, resource, keys)
    }

    /// The same for a resource that may have a policy.
    ///
    /// # Errors
    ///
    /// It may not, or the policy cannot be evaluated.
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

    /// Whether this is the account's key, which needs no permission.
    pub(crate) fn is_root(&self) -> bool {
        self.name.is_none()
    }

    /// The role's ARN, as resource policies write it.
    fn arn(&self) -> String {
        let rest = self.name.as_ref().map(|name| format!("role/{name}"));
        let rest = rest.unwrap_or_else(|| "root".to_owned());
        format!("arn:aws:iam::{ACCOUNT}:{rest}")
    }

    /// The ARN of the role's session.
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
