//! The rehearsal: an application works while its secret rotates; a table and a report show what it saw.
//!
//! | where | what |
//! |---|---|
//! | [`application`] | workers that use the database all the time, and count what fails |
//! | [`rehearse`] | the drill of one secret: the application works while the secret rotates |
//! | [`rehearsal`] | its observations, and their table |
//! | [`summary`] | the result in one line, and as JSON |
//! | [`report`] | the result as one HTML file |
//! | `demo` | what `make demo` shows, in a world on this machine (feature `local`) |
//! | `changeover` | the cost of a changeover for an application's requests, in each pool (feature `local`) |
//! | `bench` | the cost of a rotation, in the same world (feature `local`) |
//! | `soak` | a thousand rotations, and what they leave behind (feature `local`) |
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
