//! The checks that a request passes before it is answered.
//!
//! They stop a page in a browser (it sends `Origin`), a foreign name that resolves to this machine (`Host` is not one of ours), and
//! another user of this machine (no token, and not a user of the socket).

use axum::http::{HeaderValue, header, request::Parts};

use crate::{access::Access, asker::Asker, connections::Connection, telemetry, tokens::Right};

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A proxy forwarded it, perhaps from another machine.
    Forwarded,
    /// Its `Host` is not one of this machine's.
    Host,
    /// A browser sent it for a page.
    Browser,
    /// The token is missing or wrong.
    Token,
    /// The socket does not serve the user of this process.
    User,
    /// The token or the user is right, but `max_conn` connections are served already.
    Full,
}

impl Refused {
    /// All reasons.
    pub(crate) const ALL: [Self; 6] = [
        Self::Forwarded,
        Self::Host,
        Self::Browser,
        Self::Token,
        Self::User,
        Self::Full,
    ];

    /// Its name in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Forwarded => "forwarded",
            Self::Host => "host",
            Self::Browser => "browser",
            Self::Token => "token",
            Self::User => "user",
            Self::Full => "full",
        }
    }
}

/// Checks by its headers that a request comes from a program on this machine.
///
/// # Errors
///
/// The reason for the refusal.
pub fn is_local(head: &Parts, access: &Access, connection: &Connection) -> Result<(), Refused> {
    check(head, access, connection).inspect_err(|refused| telemetry::refused(refused.name()))
}

fn check(head: &Parts, access: &Access, connection: &Connection) -> Result<(), Refused> {
    let headers = &head.headers;
    if headers.contains_key("x-forwarded-for") {
        return Err(Refused::Forwarded);
    }
    if headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site") {
        return Err(Refused::Browser);
    }
    // no name resolves to a socket, and programs send any host there
    if connection.peer().is_some() {
        return Ok(());
    }
    // HTTP/1.0 sends none; a proxy's request names one in its first line
    let hosts = headers.get_all(header::HOST).into_iter();
    let hosts = hosts.map(HeaderValue::as_bytes);
    let named = head.uri.authority().map(|named| named.as_str().as_bytes());
    let mut hosts = hosts.chain(named);
    match hosts.all(|host| is_known(host, &access.hosts)) {
        true => Ok(()),
        false => Err(Refused::Host),
    }
}

/// What a request may read, if its connection is served: at the port by its token, at a socket by its process.
///
/// # Errors
///
/// There is no right, or `max_conn` connections are served already.
pub fn open<'a>(
    asker: &Asker,
    access: &'a Access,
    connection: &Connection,
) -> Result<Right<'a>, Refused> {
    let missing = match asker.peer {
        Some(_) => Refused::User,
        None => Refused::Token,
    };
    let right = access.right(asker).ok_or(missing);
    let opened = right.and_then(|right| match connection.admit(asker) {
        true => Ok(right),
        false => Err(Refused::Full),
    });
    opened.inspect_err(|refused| telemetry::refused(refused.name()))
}

fn is_known(host: &[u8], hosts: &[String]) -> bool {
    let Ok(host) = str::from_utf8(host) else {
        return false;
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let is = |own: &str| own.eq_ignore_ascii_case(name);
    ["localhost", "127.0.0.1", "[::1]"].into_iter().any(is) || hosts.iter().any(|own| is(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machines_names_are_hosts_with_any_port() {
        let own = ["agent".to_owned()];
        for host in [
            "localhost",
            "LocalHost:2773",
            "127.0.0.1:2773",
            "[::1]",
            "[::1]:2773",
            "agent:80",
        ] {
            assert!(is_known(host.as_bytes(), &own), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.nip.io:2773",
            "[::2]:2773",
            "localhost:x",
        ] {
            assert!(!is_known(host.as_bytes(), &own), "{host}");
        }
    }
}
