//! The rehearsal: an application works while its secret rotates, and what it saw becomes a table and a report.
//!
//! | where | what |
//! |---|---|
//! | [`application`] | workers that use the database all the time, and count what fails |
//! | [`rehearse`] | the drill of one secret: the application works, and the secret rotates meanwhile |
//! | [`rehearsal`] | what was seen of it, and its table |
//! | [`summary`] | the result in one line, and as JSON |
//! | [`report`] | the result as one HTML file |
//! | `demo` | what `make demo` shows, in a world on this machine (feature `local`) |
//! | `changeover` | what a changeover costs an application's requests, in each pool (feature `local`) |
//! | `bench` | what a rotation costs, in the same world (feature `local`) |
//! | `soak` | a thousand rotations, beside what they leave behind (feature `local`) |
//! | `command` | how `make bench` and `make soak` end (feature `local`) |
//!
//! `rotatectl drill` is a thin command on this crate.

pub mod application;
#[cfg(feature = "local")]
pub mod bench;
#[cfg(feature = "local")]
pub mod changeover;
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
