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

mod condition;
mod policy;
mod principal;
mod resource_policy;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::http::{HeaderMap, header::AUTHORIZATION};
use serde_json::Value;

pub use self::{
    condition::{Keys, UnknownKey},
    policy::{Decision, Policy, PolicyError, Request, decide},
    resource_policy::ResourcePolicy,
};

/// The account in every ARN here; it is the one that AWS's own examples use.
pub const ACCOUNT: &str = "123456789012";

/// The roles of this world. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Iam(Arc<Mutex<HashMap<String, Arc<Role>>>>);

/// A role that somebody acts as.
#[derive(Debug)]
pub struct Role {
    /// None of the account's own key.
    name: Option<String>,
    policies: Vec<Policy>,
}

/// Who holds a key that nobody restricted.
pub(crate) static ROOT: Role = Role {
    name: None,
    policies: Vec::new(),
};

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
    /// From now on, calls with this access key id are the role's, and are allowed what these policies allow.
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
        let policies = policies
            .iter()
            .map(Policy::parse)
            .collect::<Result<_, _>>()?;
        let role = Role {
            name: Some(role.to_owned()),
            policies,
        };
        let mut roles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        roles.insert(access_key_id.to_owned(), Arc::new(role));
        Ok(())
    }

    /// The role behind a request, or `None` where its key is not restricted.
    pub fn caller(&self, headers: &HeaderMap) -> Option<Arc<Role>> {
        let access_key_id = signed_for(headers)?.next()?;
        let roles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        roles.get(access_key_id).cloned()
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
        let mut keys = keys.clone();
        let kind = if self.is_root() {
            "Account"
        } else {
            "AssumedRole"
        };
        keys.set("aws:PrincipalAccount", [ACCOUNT]);
        keys.set("aws:PrincipalArn", [self.arn()]);
        keys.set("aws:PrincipalType", [kind]);
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
    fn session_arn(&self) -> String {
        match &self.name {
            Some(name) => format!("arn:aws:sts::{ACCOUNT}:assumed-role/{name}/local"),
            None => self.arn(),
        }
    }
}
