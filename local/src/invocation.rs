//! The joint between Secrets Manager, which has a function invoked, and the Lambda host, which does it.

use std::{pin::Pin, sync::Arc, time::Duration};

use serde_json::Value;

/// What came of one synchronous invocation.
#[derive(Clone, Debug)]
pub struct Invoked {
    /// The function's answer, or what it (or the host on its behalf) reported as its error.
    pub outcome: Result<Value, FunctionError>,
    /// The lines that the function wrote to stdout and stderr meanwhile.
    pub log: Vec<String>,
    /// From the moment the event was handed over until the answer.
    pub took: Duration,
}

/// A function's failure, in the two fields that Lambda's answer has for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error_type}: {error_message}")]
pub struct FunctionError {
    /// `errorType`: what an alarm matches.
    pub error_type: String,
    /// `errorMessage`: what a person reads.
    pub error_message: String,
}

/// Invokes the rotation function with an event and waits for what came of it.
///
/// A plain closure, so that Secrets Manager can be tested with a function of three lines.
pub type Invoke = Arc<dyn Fn(Value) -> Pin<Box<dyn Future<Output = Invoked> + Send>> + Send + Sync>;

/// The statements of the policy of the function with this ARN; none where there is no such function.
pub type FunctionPolicies = Arc<dyn Fn(&str) -> Option<Vec<Value>> + Send + Sync>;
