//! Requests to a service, as a document describes them: https, to allowed hosts, bounded in time and size.

use std::{path::PathBuf, sync::Arc};

use reqwest::{
    Client, Method, Url,
    header::{HeaderName, HeaderValue},
    redirect, retry,
};
use tokio::{
    sync::OnceCell,
    time::{Instant, sleep},
};
use url::Host;

use super::{
    addresses::{self, NotPublic, PublicOnly},
    answer::Answer,
    render::{self, Values},
};
use crate::{
    document::Request,
    engine::{EngineError, Limits, roots},
    settings::AllowedHost,
};

/// The connections to services, made on the first request.
#[derive(Debug)]
pub struct Https {
    ca_file: Option<PathBuf>,
    /// For hosts at public addresses.
    public: OnceCell<Client>,
    /// For hosts that may have any address.
    private: OnceCell<Client>,
}

/// The hosts that requests may go to, and how long a request may take.
#[derive(Debug)]
pub(super) struct Bounds<'a> {
    pub(super) allowed: &'a [AllowedHost],
    pub(super) limits: Limits,
    /// When the step ends.
    pub(super) end: Instant,
}

impl Https {
    /// Trusts the public roots, and those in the PEM file `ca_file`, if given.
    pub fn new(ca_file: Option<PathBuf>) -> Self {
        Self {
            ca_file,
            public: OnceCell::new(),
            private: OnceCell::new(),
        }
    }

    async fn client(&self, private: bool) -> Result<&Client, EngineError> {
        let make = || async {
            let trusted = roots::with_file(roots::public(), self.ca_file.as_deref())?;
            let client = Client::builder()
                .tls_backend_preconfigured(roots::client(trusted)?)
                .https_only(true)
                .no_proxy() // a proxy would see which services the function calls
                .redirect(redirect::Policy::none()) // a redirect would get the master secret
                .retry(retry::never()); // a retry could make a second key
            let client = match private {
                true => client,
                false => client.dns_resolver(Arc::new(PublicOnly)),
            };
            client.build().map_err(|error| EngineError::Roots {
                reason: error.to_string(),
            })
        };
        let client = match private {
            true => &self.private,
            false => &self.public,
        };
        client.get_or_try_init(make).await
    }

    /// Sends the request that the document calls `name`. A `repeatable` request is sent again if the service is busy and names
    /// a wait for which the step still has time.
    pub(super) async fn send(
        &self,
        name: &'static str,
        request: &Request,
        values: &Values<'_>,
        bounds: &Bounds<'_>,
        repeatable: bool,
    ) -> Result<Answer, EngineError> {
        // from here on only this address counts: the function checks what it sends
        let url = render::address(name, &request.url, values)?;
        let server = server(&url);
        let private = bounds.permits(name, &url)?;
        let not_public = |address| EngineError::AddressNotAllowed {
            request: name,
            server: server.clone(),
            address,
        };
        if !private {
            // the resolver gets names only
            let literal = match url.host() {
                Some(Host::Ipv4(address)) => Some(address.into()),
                Some(Host::Ipv6(address)) => Some(address.into()),
                Some(Host::Domain(_)) | None => None,
            };
            addresses::check(literal).map_err(|NotPublic(address)| not_public(address))?;
        }
        let client = self.client(private).await?;
        let limit = bounds.limits.request();
        let failed = |error: reqwest::Error| match refused_address(&error) {
            Some(NotPublic(address)) => not_public(*address),
            None => no_answer(&server, name, error, bounds.limits),
        };
        let filled = fill(client, name, request, url, values)?;
        loop {
            let mut attempt = filled
                .try_clone()
                .ok_or_else(|| invalid(name, "its body cannot be sent twice"))?;
            *attempt.timeout_mut() = Some(limit);
            let response = client.execute(attempt).await.map_err(failed)?;
            let answer = Answer::read(response, &server, name, failed).await?;
            match answer.retry_after() {
                Some(wait) if repeatable && wait < bounds.end - Instant::now() => {
                    tracing::warn!(server, request = name, ?wait, "the service is busy");
                    sleep(wait).await;
                }
                _ => return Ok(answer),
            }
        }
    }
}

impl Bounds<'_> {
    /// Whether requests may go to this address, and if so, whether it may be one that is not public.
    pub(super) fn permits(&self, request: &'static str, url: &Url) -> Result<bool, EngineError> {
        let mut admitting = self
            .allowed
            .iter()
            .filter(|allowed| allowed.admits(url))
            .peekable();
        if admitting.peek().is_none() {
            let server = server(url);
            return Err(EngineError::HostNotAllowed { request, server });
        }
        Ok(admitting.any(AllowedHost::is_private))
    }
}

/// Host and port, as messages name them.
fn server(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{}:{port}", url.host_str().unwrap_or_default())
}

fn invalid(request: &'static str, reason: &str) -> EngineError {
    EngineError::RequestInvalid {
        request,
        reason: reason.to_owned(),
    }
}

/// The request to this address, with the document's values filled in.
fn fill(
    client: &Client,
    name: &'static str,
    request: &Request,
    url: Url,
    values: &Values<'_>,
) -> Result<reqwest::Request, EngineError> {
    let method = Method::from_bytes(request.method.as_bytes());
    let method = method.map_err(|_| invalid(name, "its method is not an HTTP method"))?;
    let mut filled = client.request(method, url);
    for (header, value) in &request.headers {
        let header = HeaderName::from_bytes(header.as_bytes());
        let header = header.map_err(|_| invalid(name, "a header has an invalid name"))?;
        let value = HeaderValue::from_str(&render::text(name, value, values)?);
        let mut value = value.map_err(|_| invalid(name, "a header has an invalid value"))?;
        value.set_sensitive(true);
        filled = filled.header(header, value);
    }
    if let Some(body) = &request.body {
        filled = filled.json(&render::body(name, body, values)?);
    }
    if let Some(form) = &request.form {
        let mut fields = Vec::new();
        for (field, value) in form {
            fields.push((field, render::text(name, value, values)?));
        }
        let fields: Vec<_> = fields
            .iter()
            .map(|(field, value)| (field, &**value))
            .collect();
        filled = filled.form(&fields);
    }
    filled
        .build()
        .map_err(|error| invalid(name, &error.without_url().to_string()))
}

fn refused_address(error: &reqwest::Error) -> Option<&NotPublic> {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(refused) = cause.downcast_ref() {
            return Some(refused);
        }
        source = cause.source();
    }
    None
}

/// Never names the address, because it holds the values that were filled in.
fn no_answer(
    server: &str,
    request: &'static str,
    error: reqwest::Error,
    limits: Limits,
) -> EngineError {
    let server = server.to_owned();
    if error.is_timeout() {
        return EngineError::ServiceTimedOut {
            server,
            request,
            seconds: limits.request().as_secs_f32(),
        };
    }
    let error = error.without_url();
    let mut reason = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        reason = cause.to_string();
        source = cause.source();
    }
    if reason.contains("certificate") {
        return EngineError::ServiceCertificateInvalid { server, reason };
    }
    EngineError::ServiceUnreachable {
        server,
        request,
        reason,
    }
}
