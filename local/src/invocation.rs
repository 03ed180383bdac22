//! The interface between Secrets Manager, which requests an invocation, and the Lambda host, which invokes.

use std::{pin::Pin, sync::Arc, time::Duration};

use serde_json::Value;

/// The result of one synchronous invocation.
#[derive(Clone, Debug)]
pub struct Invoked {
    /// The function's answer, or the error that it (or the host for it) reported.
    pub outcome: Result<Value, FunctionError>,
    /// The lines that the function wrote to stdout and stderr.
    pub log: Vec<String>,
    /// The time from the event to the answer.
    pub took: Duration,
}

/// A function's failure, in the two fields that Lambda's answer has for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error_type}: {error_message}")]
pub struct FunctionError {
    /// `errorType`, which alarms match.
    pub error_type: String,
    /// `errorMessage`, for a person.
    pub error_message: String,
}

/// Invokes the rotation function with an event and waits for the result.
///
/// A plain closure, so that Secrets Manager can be tested with a function of three lines.
pub type Invoke = Arc<dyn Fn(Value) -> Pin<Box<dyn Future<Output = Invoked> + Send>> + Send + Sync>;

/// The statements of the policy of the function with this ARN; none if the function does not exist.
pub type FunctionPolicies = Arc<dyn Fn(&str) -> Option<Vec<Value>> + Send + Sync>;
