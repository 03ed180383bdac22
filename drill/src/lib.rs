//! The rehearsal: an application works while its secret rotates. A table and a report show the results.
//!
//! | where | what |
//! |---|---|
//! | [`application`] | workers that use the database all the time, and count failures |
//! | [`rehearse`] | the drill of one secret: the application works while the secret rotates |
//! | [`rehearsal`] | the observations, and their table |
//! | [`summary`] | the result in one line, and as JSON |
//! | [`report`] | the result as one HTML file |
//! | `demo` | the demo of `make demo`, in a world on this machine (feature `local`) |
//! | `bench` | `make bench`: what everything costs, beside its peers (feature `local`) |
//! | `soak` | a thousand rotations, and what they leave behind (feature `local`) |
//! | `command` | the end of `make bench` and `make soak` (feature `local`) |
//!
//! `rotatectl drill` is a thin command on this crate.

pub mod application;
#[cfg(feature = "local")]
pub mod bench;
#[cfg(feature = "local")]
pub mod command;
#[cfg(feature = "local")]
pub mod demo;
mod error;
pub mod progress;
pub mod rehearsal;
pub mod rehearse;
pub mod report;
#[cfg(feature = "local")]
pub mod soak;
pub mod summary;

pub use error::Error;
