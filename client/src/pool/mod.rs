//! Connection pools that follow a rotation without a restart.
//!
//! In each of them a new connection is made with the credential in force, and a rejected login is recovered from; a
//! connection that an older version made leaves the pool when it comes back, and at once if it is idle. One that is
//! in use is never cut.

#[cfg(any(feature = "deadpool", feature = "sqlx"))]
mod age;
#[cfg(feature = "bb8")]
pub mod bb8;
#[cfg(feature = "deadpool")]
pub mod deadpool;
#[cfg(feature = "sqlx")]
pub mod sqlx;
