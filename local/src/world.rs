//! The three parts joined.
