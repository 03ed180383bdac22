//! Which settings a running agent cannot replace.

use super::{Settings, files::Owner, sockets::Socket};

impl Settings {
    /// The settings that differ in `new`, and count only after a restart.
    pub fn needs_restart(&self, new: &Self) -> Vec<&'static str> {
        // every field by its name, so that the compiler asks about a new one
        let Self {
            enabled,
            log_level: _,
            port,
            region,
            ttl,
            cache_size,
            token_headers,
            token_variables: _,
            path_prefix,
            connections,
            roles,
            credentials_file,
            validates_credentials,
            prefetch: _,
            stale_on_error,
            endpoint,
            sts_endpoint,
            overlap_window,
            idle,
            tokens: _,
            sockets,
            hosts: _,
            files,
            listen,
            metrics_port,
            metrics_name_secrets,
            warnings: _,
        } = self;
        let changed = [
            ("enabled", *enabled != new.enabled),
            ("http_port", *port != new.port),
            ("region", *region != new.region),
            ("ttl_seconds", *ttl != new.ttl),
            ("cache_size", *cache_size != new.cache_size),
            ("ssrf_headers", *token_headers != new.token_headers),
            ("path_prefix", *path_prefix != new.path_prefix),
            ("max_conn", *connections != new.connections),
            ("max_roles", *roles != new.roles),
            (
                "credentials_file_path",
                *credentials_file != new.credentials_file,
            ),
            (
                "validate_credentials",
                *validates_credentials != new.validates_credentials,
            ),
            (
                "ignore_transient_errors",
                *stale_on_error != new.stale_on_error,
            ),
            ("endpoint", *endpoint != new.endpoint),
            ("sts_endpoint", *sts_endpoint != new.sts_endpoint),
            ("overlap_window", *overlap_window != new.overlap_window),
            ("idle", *idle != new.idle),
            (
                "path, owner and mode of [[sockets]]",
                !sockets.iter().map(place).eq(new.sockets.iter().map(place)),
            ),
            ("[[files]]", *files != new.files),
            ("[[listen]]", *listen != new.listen),
            ("metrics_port", *metrics_port != new.metrics_port),
            (
                "metrics_name_secrets",
                *metrics_name_secrets != new.metrics_name_secrets,
            ),
        ];
        changed
            .into_iter()
            .filter(|(_, is)| *is)
            .map(|(name, _)| name)
            .collect()
    }
}

/// What of a socket is made at the start.
fn place(socket: &Socket) -> (&std::path::Path, Owner, u32, bool) {
    (
        &socket.path,
        socket.owner,
        socket.mode,
        socket.shared_parent,
    )
}
