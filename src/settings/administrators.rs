//! `ADMINISTRATOR_SECRETS`: which secrets `masterarn` may name.
//!
//! The function may read every secret that it rotates, so anyone who can write one could name another application's secret as
//! the administrator's. A writer cannot change this list; only the function's operator can.

use std::str::FromStr;

use wildmatch::WildMatch;

use crate::document::Document;

/// ARNs of secrets, with the wildcards of IAM's policies: `*` for anything, `?` for one character.
#[derive(Clone, Debug, Default)]
pub struct Administrators(Vec<WildMatch>);

impl Administrators {
    /// Whether the secret with this ARN, as Secrets Manager returned it, may be the administrator's secret of a rotated
    /// document.
    ///
    /// Without a list, a server's administrator may be any secret that the function may read: its credential goes only where
    /// the rotated one has logged in. A service's administrator must be listed: its key goes wherever the rotated document
    /// says.
    pub fn admit(&self, arn: &str, rotated: &Document) -> bool {
        match self.0.is_empty() {
            true => rotated.api().is_none(),
            false => self.0.iter().any(|listed| listed.matches(arn)),
        }
    }
}

impl FromStr for Administrators {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let listed = text.split(',').map(str::trim).filter(|arn| !arn.is_empty());
        let listed = listed.map(|arn| arn.starts_with("arn:").then(|| WildMatch::new(arn)));
        listed.collect::<Option<_>>().map(Self).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASTER: &str =
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mail/master-AbCdEf";

    fn document(engine: &str) -> Document {
        let request =
            r#"{"method":"POST","url":"https://h/","body":"{token}","id":"/id","key":"/key"}"#;
        let json = format!(
            r#"{{"engine":"{engine}","masterarn":"m","host":"h","username":"u","password":"p","key_id":"i","key":"k",
                "create":{request},"verify":{{"method":"GET","url":"https://h/"}},"delete":{{"method":"GET","url":"https://h/"}}}}"#
        );
        Document::parse(&json.into()).unwrap()
    }

    #[test]
    fn an_administrator_must_be_on_the_list_and_without_a_list_only_a_servers_is_admitted() {
        let (login, key) = (document("postgres"), document("http-api-key"));
        let prefix = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:";
        for (listed, admits_login, admits_key) in [
            (String::new(), true, false),
            (" , ".to_owned(), true, false),
            (MASTER.to_owned(), true, true),
            (format!("{prefix}other-AbCdEf, {MASTER}"), true, true),
            (format!("{prefix}mail/master-??????"), true, true),
            (format!("{prefix}mail/*"), true, true),
            (format!("{prefix}mail/master"), false, false),
            (format!("{prefix}mail/master-?????"), false, false),
            (format!("{prefix}MAIL/*"), false, false),
            (format!("{prefix}other/*"), false, false),
        ] {
            let administrators: Administrators = listed.parse().unwrap();
            let admitted = [&login, &key].map(|rotated| administrators.admit(MASTER, rotated));
            assert_eq!(admitted, [admits_login, admits_key], "{listed}");
        }
        assert!("mail/master".parse::<Administrators>().is_err());
        assert!("*".parse::<Administrators>().is_err());
    }
}
