//! An AWS Lambda function that rotates the password of a PostgreSQL role, or a service's API key, kept in AWS Secrets
//! Manager.
//!
//! Secrets Manager invokes it four times for one rotation. The data flows in one line:
//!
//! ```text
//! event -> rotation step -> store / engine -> outcome -> one log line and the metrics
//! ```
//!
//! | where | what |
//! |---|---|
//! | [`event`] | what Secrets Manager sends: step, secret, token |
//! | [`rotation`] | the protocol, one file a step: `create`, `set`, `test`, `finish`, and for operators `revoke` and `rollback`; the rules on labels in [`rotation::versions`] |
//! | [`document`] | a separate crate: the secret's JSON, typed fields, all other fields unchanged |
//! | [`password`] | the policy and the generator |
//! | [`store`] | [`store::SecretStore`], and Secrets Manager behind it |
//! | [`engine`] | [`engine::Engine`], and behind it PostgreSQL, and services with API keys |
//! | [`settings`] | the function's environment, checked at start |
//! | [`age`] | the check, on a schedule, that every secret rotates |
//! | [`telemetry`] | one JSON line a step, and metrics |
//! | [`error`] | what went wrong, and what to do about it |
//! | [`moment`] | a moment as text |
//! | [`function`] | one invocation, from the event to the answer |
//! | `kit` | a feature: checks an engine's duties |
//! | `doctor` | a feature: the questions that only rotatectl asks a server or a service |
//!
//! The invariant: a new credential works before the old one ends, a password is stored before the database gets it, and every
//! step may be repeated or cut off anywhere.

#![warn(clippy::disallowed_methods)]

pub mod age;
pub mod engine;
pub mod error;
pub mod event;
pub mod function;
#[cfg(feature = "kit")]
pub mod kit;
pub mod moment;
pub mod password;
pub mod rotation;
pub mod settings;
pub mod store;
pub mod telemetry;

#[doc(no_inline)]
pub use rotating_secret_document as document;
