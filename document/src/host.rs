//! The address of a server: a name or an IP address, and a port.

use std::net::Ipv6Addr;

use crate::{error::DocumentError, object::Object, read};

const ONE_HOST: &str = "the name or the address of one server: no list, no socket's path, no URL";

/// Reads a host, with a port after it as in Terraform's `endpoint`, and the port's own field.
pub(crate) fn address(
    object: &Object,
    host: &'static str,
    port: &'static str,
) -> Result<(Option<String>, Option<u16>), DocumentError> {
    let own = read::port(object, port)?;
    let Some(text) = read::optional(object, host)? else {
        return Ok((None, own));
    };
    let wrong = |expected| DocumentError::WrongType {
        field: host,
        expected,
    };
    let (name, behind) = split(text.trim()).ok_or_else(|| wrong(ONE_HOST))?;
    match (behind, own) {
        (Some(behind), Some(own)) if behind != own => Err(wrong("at the port that \"port\" says")),
        _ => Ok((Some(name.to_owned()), own.or(behind))),
    }
}

/// The host without brackets, and the port after it.
fn split(text: &str) -> Option<(&str, Option<u16>)> {
    if text.parse::<Ipv6Addr>().is_ok() {
        return Some((text, None));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (address, behind) = rest.split_once(']')?;
        address.parse::<Ipv6Addr>().ok()?;
        return match behind {
            "" => Some((address, None)),
            _ => Some((address, Some(port(behind.strip_prefix(':')?)?))),
        };
    }
    let (name, behind) = match text.split_once(':') {
        Some((name, behind)) => (name, Some(port(behind)?)),
        None => (text, None),
    };
    let plain = |c: char| c.is_alphanumeric() || "-._".contains(c);
    (!name.is_empty() && name.chars().all(plain)).then_some((name, behind))
}

fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port != 0)
}

/// The host as it is written before a port: an IPv6 address in brackets.
pub(crate) fn with_port(host: &str, port: u16) -> String {
    match host.parse::<Ipv6Addr>() {
        Ok(_) => format!("[{host}]:{port}"),
        Err(_) => format!("{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_one_name_or_address_with_or_without_a_port() {
        for (text, read) in [
            ("db.example.com", Some(("db.example.com", None))),
            ("db.example.com:5432", Some(("db.example.com", Some(5432)))),
            ("db_1", Some(("db_1", None))),
            ("10.0.0.1:6432", Some(("10.0.0.1", Some(6432)))),
            ("::1", Some(("::1", None))),
            ("[::1]", Some(("::1", None))),
            ("[::1]:5432", Some(("::1", Some(5432)))),
            ("a,b", None),
            ("a:5432,b:5432", None),
            ("/var/run/postgresql", None),
            ("postgres://db", None),
            ("db:", None),
            ("db:0", None),
            ("db:70000", None),
            (":5432", None),
            ("user@db", None),
            ("a b", None),
            ("[::1", None),
            ("[db]:5432", None),
        ] {
            assert_eq!(split(text), read, "{text}");
        }
    }
}
