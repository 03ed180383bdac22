//! The address of a request: this crate's errors show host and port, which the SDK's errors leave out.

use std::sync::{Arc, OnceLock};

use aws_sdk_secretsmanager::{
    config::{
        ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeTransmitInterceptorContextRef,
    },
    error::BoxError,
};

/// The host and the port of one client's requests, known from the first one on.
#[derive(Clone, Debug, Default)]
pub(super) struct Address(Arc<OnceLock<String>>);

impl Address {
    pub(super) fn host_and_port(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}

impl Intercept for Address {
    fn name(&self) -> &'static str {
        "Address"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.get_or_init(|| address(context.request().uri()));
        Ok(())
    }
}

fn address(uri: &str) -> String {
    let (scheme, rest) = uri.split_once("://").unwrap_or(("https", uri));
    let address = rest.split(['/', '?']).next().unwrap_or(rest);
    // an IPv6 address has its own colons, in brackets
    let behind = address
        .rsplit_once(']')
        .map_or(address, |(_, behind)| behind);
    match (behind.contains(':'), scheme) {
        (true, _) => address.to_owned(),
        (false, "http") => format!("{address}:80"),
        (false, _) => format!("{address}:443"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_the_explicit_one_or_the_default_of_the_scheme() {
        for (uri, expected) in [
            (
                "https://secretsmanager.us-east-1.amazonaws.com/",
                "secretsmanager.us-east-1.amazonaws.com:443",
            ),
            ("http://127.0.0.1:4566/", "127.0.0.1:4566"),
            ("http://local", "local:80"),
            ("http://[::1]/", "[::1]:80"),
            ("http://[::1]:4566/", "[::1]:4566"),
        ] {
            assert_eq!(address(uri), expected);
        }
    }
}
