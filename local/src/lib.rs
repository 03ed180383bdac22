//! The local world: stand-ins for AWS and a database server on one machine, for tests, demo and drill.
//!
//! It is never deployed. It has three independent parts:
//!
//! - [`secrets_manager`]: AWS Secrets Manager with real rotation semantics, behind its real wire format;
//! - [`lambda`]: a host that runs the real function binary through the Lambda runtime API;
//!   [`logs`] is the part of CloudWatch Logs that reads what it writes;
//! - [`postgres`]: a scratch PostgreSQL server with TLS and scram-sha-256.
//!
//! [`iam`] decides what a caller of the first two may do, and [`sts`] lets a caller act as a role. [`clock`] is the time of all parts.
//! With [`control`], tests in other languages move the clock and set faults. [`world`] joins the parts, [`executable`] builds the
//! function, and [`command`] is `local up` and `local schedule`, for `main.rs` and for rotatectl.
//!
//! [`key_service`] is an outside service whose API keys rotate. Three more stores are for the tests of the client crate:
//! [`vault`], [`key_vault`] and [`secrets_manager_agent`].

pub mod clock;
pub mod command;
pub mod control;
pub mod executable;
mod guard;
pub mod iam;
pub mod invocation;
pub mod key_service;
pub mod key_vault;
pub mod lambda;
pub mod logs;
pub mod memory;
pub mod postgres;
pub mod secrets_manager;
pub mod secrets_manager_agent;
pub mod sts;
mod stub;
pub mod vault;
pub mod world;
