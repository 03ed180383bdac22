//! A scratch PostgreSQL.
