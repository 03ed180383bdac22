//! The policy of a resource.

use serde_json::Value;

use super::{
    Role,
    condition::UnknownKey,
    policy::{Decision, Effect, Policy, PolicyError, Request, Statement},
    principal::{Concern, Principal},
};

/// A resource's policy.
#[derive(Clone, Debug, Default)]
pub struct ResourcePolicy {
    statements: Vec<(Vec<Principal>, Statement)>,
}

impl ResourcePolicy {
    /// Reads a document.
    ///
    /// # Errors
    ///
    /// It is invalid, or contains something unknown here.
    pub fn parse(document: &Value) -> Result<Self, PolicyError> {
        let mut document = document.clone();
        let statements: Vec<&mut Value> = match document.get_mut("Statement") {
            Some(Value::Array(statements)) => statements.iter_mut().collect(),
            statement => Vec::from_iter(statement),
        };
        let principals: Vec<_> = statements
            .into_iter()
            .map(Principal::take_from)
            .collect::<Result<_, _>>()?;
        let statements = Policy::parse(&document)?.statements;
        Ok(Self {
            statements: principals.into_iter().zip(statements).collect(),
        })
    }

    /// Decides about a caller's request. An allowance for the whole account leaves the decision to the caller's own policies.
    ///
    /// # Errors
    ///
    /// A statement for the caller, the action and the resource has a condition on a key that is unknown here.
    pub fn decide(&self, caller: &Role, request: &Request<'_>) -> Result<Decision, UnknownKey> {
        self.weigh(caller, request, Concern::Itself)
    }

    /// The same, but an allowance for the account is enough.
    pub(super) fn decide_with_account(
        &self,
        caller: &Role,
        request: &Request<'_>,
    ) -> Result<Decision, UnknownKey> {
        self.weigh(caller, request, Concern::ByAccount)
    }

    /// Decides. An allowance counts only if its concern is `from` or closer.
    fn weigh(
        &self,
        caller: &Role,
        request: &Request<'_>,
        from: Concern,
    ) -> Result<Decision, UnknownKey> {
        let mut decision = Decision::NotAllowed;
        for (principals, statement) in &self.statements {
            let concern = principals.iter().map(|named| named.concerns(caller)).max();
            match (concern.unwrap_or(Concern::Not), statement.effect) {
                (Concern::Not, _) => {}
                (concern, Effect::Allow) if concern < from => {}
                (_, Effect::Deny) if statement.applies(request)? => return Ok(Decision::Denied),
                (_, Effect::Allow) if statement.applies(request)? => decision = Decision::Allowed,
                _ => {}
            }
        }
        Ok(decision)
    }

    /// Whether it allows everyone something, without a condition that limits this to fixed accounts, principals or sources.
    ///
    /// The real service uses a reasoning engine for this; our rule is stricter.
    pub fn is_public(&self) -> bool {
        self.statements.iter().any(|(principals, statement)| {
            statement.effect == Effect::Allow
                && principals.contains(&Principal::Everyone)
                && !statement
                    .conditions
                    .iter()
                    .any(|condition| condition.is_of_few())
        })
    }
}
