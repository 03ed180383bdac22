//! An AWS Lambda function that rotates the password of a PostgreSQL role, or a service's API key, kept in AWS Secrets
//! Manager.
//!
//! Secrets Manager invokes it four times for one rotation. The way of the data is one line:
//!
//! ```text
//! event -> rotation step -> store / engine -> outcome -> one log line and the metrics
//! ```
//!
//! | where | what |
//! |---|---|
//! | [`event`] | what Secrets Manager sends: step, secret, token |
//! | [`rotation`] | the protocol, one file a step: `create`, `set`, `test`, `finish`, and for operators `revoke` and `rollback`; the rules on labels in [`rotation::versions`] |
//! | [`document`] | a crate of its own: the secret's JSON, typed fields, everything else kept as it was |
//! | [`password`] | the policy and the generator |
//! | [`store`] | [`store::SecretStore`], and Secrets Manager behind it |
//! | [`engine`] | [`engine::Engine`], and behind it PostgreSQL, and services with API keys |
//! | [`settings`] | the function's environment, checked at start |
//! | [`age`] | the check, on a schedule, whether every secret rotates |
//! | [`telemetry`] | one JSON line a step, and metrics |
//! | [`error`] | what went wrong, and what to do about it |
//! | [`function`] | one invocation, from the event to the answer |
//! | `kit` | a feature: checks what an engine owes |
//! | `doctor` | a feature: what only rotatectl asks of a server or a service |
//!
//! The invariant behind all of it: the new credential is provided before the old one stops working, nothing
//! is changed in the database that is not first stored, and every step may be repeated or cut off anywhere.

pub mod age;
pub mod engine;
pub mod error;
pub mod event;
pub mod function;
#[cfg(feature = "kit")]
pub mod kit;
pub mod password;
pub mod rotation;
pub mod settings;
pub mod store;
pub mod telemetry;

#[doc(no_inline)]
pub use rotating_secret_document as document;
