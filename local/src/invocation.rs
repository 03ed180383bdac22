//! The interface between Secrets Manager and the Lambda host that invokes the function.

use std::{pin::Pin, sync::Arc, time::Duration};

use serde_json::Value;

/// The result of one synchronous invocation.
#[derive(Clone, Debug)]
pub struct Invoked {
    /// The function's answer, or the error that the function or the host reported.
    pub outcome: Result<Value, FunctionError>,
    /// The lines that the function wrote to stdout and stderr.
    pub log: Vec<String>,
    /// The time from the event to the answer.
    pub took: Duration,
}

/// A function's error, with the two fields of Lambda's answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error_type}: {error_message}")]
pub struct FunctionError {
    /// `errorType`. Alarms match it.
    pub error_type: String,
    /// `errorMessage`, for people.
    pub error_message: String,
}

/// Invokes the rotation function with an event and waits for the result.
///
/// A plain closure: a test of Secrets Manager needs only a function of three lines.
pub type Invoke = Arc<dyn Fn(Value) -> Pin<Box<dyn Future<Output = Invoked> + Send>> + Send + Sync>;

/// The policy statements of the function with this ARN. None if the function does not exist.
pub type FunctionPolicies = Arc<dyn Fn(&str) -> Option<Vec<Value>> + Send + Sync>;
