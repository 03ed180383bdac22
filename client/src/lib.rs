//! Secrets that rotate under an application which never notices.

pub mod provider;
