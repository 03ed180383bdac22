//! Addresses, and parts of them, that every reader reads in the same way.

use url::Url;

/// The address, if every reader reads the same one: https, with the host written exactly as a URL parser returns it, without a
/// user, a backslash, a blank, a `#` or anything outside of ASCII.
pub fn address(text: &str) -> Option<Url> {
    let rest = text.strip_prefix("https://")?;
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains(['\\', '#']) {
        return None;
    }
    let written = rest.split(['/', '?']).next()?.to_ascii_lowercase();
    let url = Url::parse(text).ok()?;
    let (host, port) = (url.host_str()?, url.port_or_known_default()?);
    // a parser turns 0x7f.1, %6cocalhost, user@host and {placeholder} into something else, or refuses them
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    let as_written = written == host || written == format!("{host}:{port}");
    (as_written && host.chars().all(plain)).then_some(url)
}

/// Whether the text stays one segment of a path, regardless of who decodes it: a key's id must.
pub fn is_segment(text: &str) -> bool {
    let splits = |c: char| c.is_control() || "/\\?#%;".contains(c);
    !matches!(text, "" | "." | "..") && !text.contains(splits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_only_if_its_host_is_written_as_the_parser_returns_it() {
        for (text, server) in [
            (
                "https://api.example.com/keys?limit=1",
                Some(("api.example.com", 443)),
            ),
            (
                "https://API.example.com:443",
                Some(("api.example.com", 443)),
            ),
            ("https://[::1]:8443/", Some(("[::1]", 8443))),
            ("https://127.0.0.1:8443/{key_id}", Some(("127.0.0.1", 8443))),
            (
                "https://xn--bcher-kva.example/",
                Some(("xn--bcher-kva.example", 443)),
            ),
            ("HTTPS://api.example.com/", None),
            ("http://api.example.com/", None),
            ("https://user@api.example.com/", None),
            ("https://@api.example.com/", None),
            ("https://api.example.com:/", None),
            ("https://api.example.com:08443/", None),
            ("https://api.example.com\\@evil.example/", None),
            ("https://api.example.com/\\", None),
            ("https://api.example.com/#x", None),
            ("https://api.example.com/a b", None),
            ("https://api.example.com/\u{7f}", None),
            ("https://bücher.example/", None),
            ("https://api。example。com/", None),
            ("https://{key_id}/", None),
            ("https://2130706433/", None),
            ("https://0177.0.0.1/", None),
            ("https://127.1/", None),
            ("https://[0:0:0:0:0:0:0:1]/", None),
            ("https://%6cocalhost/", None),
            ("https:///api.example.com", None),
            ("https://", None),
        ] {
            let url = address(text);
            let read = url.as_ref().map(|url| {
                (
                    url.host_str().unwrap(),
                    url.port_or_known_default().unwrap(),
                )
            });
            assert_eq!(read, server, "{text}");
        }
    }

    #[test]
    fn a_segment_contains_nothing_that_ends_it_or_leads_back() {
        for text in [
            "k_81", "a.b", "...", "a b", "auth0|x", "é", "81", "a:b@c", "==",
        ] {
            assert!(is_segment(text), "{text}");
        }
        for text in [
            "", ".", "..", "%2e", "%2E%2e", "a/b", "a\\b", "a?b", "a#b", "..;x", "a\nb", "\u{0}",
            "\u{85}",
        ] {
            assert!(!is_segment(text), "{text:?}");
        }
    }
}
