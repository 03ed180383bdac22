//! The local world: stand-ins for AWS and a real database server on one machine, for tests, the demo and the drill.
//!
//! It is never deployed. It has three independent parts:
//!
//! - [`secrets_manager`]: AWS Secrets Manager with real rotation semantics, behind its real wire format;
//! - [`lambda`]: a host that runs the real function binary through the Lambda runtime API; [`logs`] is the part of CloudWatch Logs
//!   that reads the function's log;
//! - [`postgres`]: a scratch PostgreSQL server with TLS and scram-sha-256.
//!
//! [`iam`] decides what a caller of the first two may do, and [`sts`] lets a caller act as a role. [`clock`] is the time of all parts.
//! [`control`] lets tests in other languages move the clock and set faults. [`world`] joins the parts, [`executable`] builds the
//! function, and [`command`] has `local up` and `local schedule`, for `main.rs` and rotatectl.
//!
//! [`key_service`] is a service whose API keys rotate. Three more stores are for the tests of the client crate:
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
pub mod processor;
pub mod secrets_manager;
pub mod secrets_manager_agent;
pub mod sts;
mod stub;
pub mod vault;
pub mod world;
