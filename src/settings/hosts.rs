//! `ALLOWED_HOSTS`: where requests for API keys may go.

use std::str::FromStr;

use url::Url;

use crate::document::address;

/// One host, and one of its ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHost {
    host: String,
    port: u16,
    private: bool,
}

impl AllowedHost {
    /// Whether this URL has this host and port.
    pub fn admits(&self, url: &Url) -> bool {
        url.host_str() == Some(&self.host) && url.port_or_known_default() == Some(self.port)
    }

    /// Whether its address may be one that is not public: marked with `private:`.
    pub fn is_private(&self) -> bool {
        self.private
    }
}

impl FromStr for AllowedHost {
    type Err = ();

    /// Reads `host` or `host:port`, with or without `private:` before it; the port is 443 by default.
    fn from_str(text: &str) -> Result<Self, ()> {
        let text = text.trim();
        let (private, server) = match text.strip_prefix("private:") {
            Some(server) => (true, server),
            None => (false, text),
        };
        let url = address(&format!("https://{server}")).filter(|_| !server.contains(['/', '?']));
        let url = url.ok_or(())?;
        Ok(Self {
            host: url.host_str().ok_or(())?.to_owned(),
            port: url.port_or_known_default().ok_or(())?,
            private,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_admits_its_own_port_and_says_whether_it_is_private() {
        for (text, url, admitted, private) in [
            (
                "API.example.com",
                "https://api.example.com/keys",
                true,
                false,
            ),
            (
                "api.example.com",
                "https://api.example.com:8443/",
                false,
                false,
            ),
            ("api.example.com", "https://evil.example.com/", false, false),
            ("api.example.com", "https://api.example.com./", false, false),
            (
                " api.example.com:8443 ",
                "https://api.example.com:8443/",
                true,
                false,
            ),
            (
                "private:keys.internal:8443",
                "https://keys.internal:8443/",
                true,
                true,
            ),
            ("private:[fd00::1]", "https://[fd00::1]/", true, true),
        ] {
            let host: AllowedHost = text.parse().unwrap();
            assert_eq!(
                host.admits(&Url::parse(url).unwrap()),
                admitted,
                "{text} {url}"
            );
            assert_eq!(host.is_private(), private, "{text}");
        }
    }

    #[test]
    fn an_invalid_host_is_refused() {
        for text in [
            "",
            "private:",
            "private:8443",
            "https://api.example.com",
            "api.example.com/keys",
            "*.example.com",
            "a b",
            "x@y",
            "127.1",
        ] {
            assert_eq!(text.parse::<AllowedHost>(), Err(()), "{text}");
        }
    }
}
