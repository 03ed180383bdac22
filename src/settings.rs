//! The function's environment.
//!
//! It is read and checked once, at start. Every invocation reports what is wrong with it, because a function that exits at
//! start shows an operator only `Runtime.ExitError`.

mod administrators;
mod hosts;

use std::{path::PathBuf, str::FromStr, time::Duration};

use crate::{
    document::Overlap,
    password::{PasswordError, Policy, Rules},
};

pub use administrators::Administrators;
pub use hosts::AllowedHost;

/// A day: every cache and every pool with a shorter lifetime has the new credential by then.
const USUAL_OVERLAP: Overlap = Overlap::Bounded(Duration::from_secs(24 * 60 * 60));

/// The form in which a new password goes to the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PasswordHashing {
    /// As a verifier, made here: the server, its log and its statistics never see the password. SCRAM-SHA-256, or md5 where the
    /// server keeps the role's password as md5: an application's old driver may support nothing else.
    #[default]
    Kept,
    /// As a SCRAM-SHA-256 verifier, regardless of what the server keeps.
    Scram,
    /// As the password itself, for servers that refuse a verifier; the server hashes it, and may log it.
    Server,
}

/// What binds the administrator's login to its TLS connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChannelBindingRule {
    /// SCRAM's proof is valid for this connection only; otherwise there is no login.
    #[default]
    Require,
    /// The same where the server offers it: for administrators with md5 passwords, poolers, TLS that ends at a load balancer,
    /// and certificates for which no hash is defined.
    Prefer,
}

/// The settings from the environment, each with a default.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `PASSWORD_LENGTH`, `EXCLUDE_…`, `REQUIRE_EACH_INCLUDED_TYPE`: what AWS's rotation functions read.
    pub policy: Policy,
    /// `PASSWORD_HASHING`: `keep` (default), `scram` or `server`.
    pub hashing: PasswordHashing,
    /// `ADMINISTRATOR_CHANNEL_BINDING`: `require` (default) or `prefer`.
    pub channel_binding: ChannelBindingRule,
    /// `POOLER_ASKS_SERVER`: whether a pooler in front of the database asks it for passwords, and keeps no list itself.
    pub pooler_asks: bool,
    /// `OVERLAP_WINDOW`: how long the old one of two users logs in after a rotation; 24h by default.
    pub overlap: Overlap,
    /// `VERIFY_SQL`: what testSecret runs as the new credential, read only; it must not fail.
    pub verify_sql: Option<String>,
    /// `ALLOWED_HOSTS`: where requests for API keys may go; nowhere by default.
    pub allowed_hosts: Vec<AllowedHost>,
    /// `ADMINISTRATOR_SECRETS`: which secrets `masterarn` may name.
    pub administrators: Administrators,
    /// `TLS_CA_FILE`: a PEM file of roots that are trusted in addition to the built-in ones.
    pub tls_ca_file: Option<PathBuf>,
    /// The content of `AWS_CA_BUNDLE`: PEM, the roots to trust for the API in place of Amazon's.
    pub api_roots: Option<Vec<u8>>,
    /// `SECRETS_MANAGER_ENDPOINT`: the API's address, if not the region's usual one.
    pub endpoint: Option<String>,
}

impl Settings {
    /// Reads the settings through `variable`, which is `std::env::var` outside of tests.
    ///
    /// # Errors
    ///
    /// A variable has a value that cannot be read, or the password policy is too weak.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let defaults = Rules::default();
        let rules = Rules {
            length: parsed(&variable, "PASSWORD_LENGTH", "a whole number")?
                .unwrap_or(defaults.length),
            // an empty value is a choice: nothing is excluded
            exclude_characters: variable("EXCLUDE_CHARACTERS")
                .unwrap_or(defaults.exclude_characters),
            exclude_numbers: flag(&variable, "EXCLUDE_NUMBERS", defaults.exclude_numbers)?,
            exclude_punctuation: flag(
                &variable,
                "EXCLUDE_PUNCTUATION",
                defaults.exclude_punctuation,
            )?,
            exclude_uppercase: flag(&variable, "EXCLUDE_UPPERCASE", defaults.exclude_uppercase)?,
            exclude_lowercase: flag(&variable, "EXCLUDE_LOWERCASE", defaults.exclude_lowercase)?,
            require_each_included_type: flag(
                &variable,
                "REQUIRE_EACH_INCLUDED_TYPE",
                defaults.require_each_included_type,
            )?,
        };
        let characters = parsed(
            &variable,
            "PASSWORD_CHARACTERS",
            "url-safe, or leave it out",
        )?;
        let rules = match characters {
            Some(Characters::UrlSafe) => rules.url_safe(),
            None => rules,
        };
        Ok(Self {
            policy: Policy::new(&rules)?,
            hashing: parsed(&variable, "PASSWORD_HASHING", "keep, scram or server")?
                .unwrap_or_default(),
            channel_binding: parsed(
                &variable,
                "ADMINISTRATOR_CHANNEL_BINDING",
                "require or prefer",
            )?
            .unwrap_or_default(),
            pooler_asks: flag(&variable, "POOLER_ASKS_SERVER", false)?,
            overlap: parsed(
                &variable,
                "OVERLAP_WINDOW",
                "a time such as 24h, a hundred years at most, or unbounded",
            )?
            .unwrap_or(USUAL_OVERLAP),
            verify_sql: filled(&variable, "VERIFY_SQL"),
            allowed_hosts: hosts(&variable, "ALLOWED_HOSTS")?,
            administrators: parsed(
                &variable,
                "ADMINISTRATOR_SECRETS",
                "ARNs of secrets, with * and ? as in IAM's policies",
            )?
            .unwrap_or_default(),
            tls_ca_file: filled(&variable, "TLS_CA_FILE").map(PathBuf::from),
            api_roots: filled(&variable, "AWS_CA_BUNDLE")
                .map(readable)
                .transpose()?,
            endpoint: filled(&variable, "SECRETS_MANAGER_ENDPOINT"),
        })
    }
}

/// The values of `PASSWORD_CHARACTERS`.
enum Characters {
    UrlSafe,
}

impl FromStr for Characters {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "url-safe" => Ok(Self::UrlSafe),
            _ => Err(()),
        }
    }
}

impl FromStr for PasswordHashing {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "keep" => Ok(Self::Kept),
            "scram" => Ok(Self::Scram),
            "server" => Ok(Self::Server),
            _ => Err(()),
        }
    }
}

impl FromStr for ChannelBindingRule {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "require" => Ok(Self::Require),
            "prefer" => Ok(Self::Prefer),
            _ => Err(()),
        }
    }
}

fn readable(path: String) -> Result<Vec<u8>, SettingsError> {
    std::fs::read(&path).map_err(|_| SettingsError::Unreadable {
        name: "AWS_CA_BUNDLE",
        value: path,
        expected: "a PEM file that the function can read",
    })
}

fn filled(variable: impl Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    variable(name).filter(|value| !value.is_empty())
}

fn parsed<T: FromStr>(
    variable: impl Fn(&str) -> Option<String>,
    name: &'static str,
    expected: &'static str,
) -> Result<Option<T>, SettingsError> {
    filled(variable, name)
        .map(|value| {
            value.trim().parse().map_err(|_| SettingsError::Unreadable {
                name,
                value,
                expected,
            })
        })
        .transpose()
}

fn hosts(
    variable: impl Fn(&str) -> Option<String>,
    name: &'static str,
) -> Result<Vec<AllowedHost>, SettingsError> {
    let value = filled(variable, name).unwrap_or_default();
    let hosts = value.split(',').filter(|host| !host.trim().is_empty());
    let read: Result<_, ()> = hosts.map(str::parse).collect();
    read.map_err(|()| SettingsError::Unreadable {
        name,
        value,
        expected: "hosts in ASCII such as api.example.com, keys.example.com:8443, and private:keys.internal for one whose \
                   address is not public",
    })
}

/// The words for true are those of AWS's functions, which read every other word as false. Here a word that is neither is
/// refused, because it is a typing error.
fn flag(
    variable: impl Fn(&str) -> Option<String>,
    name: &'static str,
    default: bool,
) -> Result<bool, SettingsError> {
    let Some(value) = filled(variable, name) else {
        return Ok(default);
    };
    match value.to_lowercase().as_str() {
        "true" | "1" | "y" | "yes" => Ok(true),
        "false" | "0" | "n" | "no" => Ok(false),
        _ => Err(SettingsError::Unreadable {
            name,
            value,
            expected: "true or false",
        }),
    }
}

/// Why the environment is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum SettingsError {
    /// A value that cannot be read.
    #[error("the function's environment variable {name} is \"{value}\": set it to {expected}")]
    Unreadable {
        name: &'static str,
        value: String,
        expected: &'static str,
    },
    /// A password policy that is too weak.
    #[error(transparent)]
    Policy(#[from] PasswordError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::password::LEAST_BITS;
    use rand::rngs::SysRng;
    use secrecy::ExposeSecret;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        Settings::read(|name| {
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    fn password(variables: &[(&str, &str)]) -> String {
        read(variables)
            .unwrap()
            .policy
            .generate(&mut SysRng)
            .unwrap()
            .expose_secret()
            .to_owned()
    }

    #[test]
    fn an_empty_environment_has_awss_defaults() {
        let settings = read(&[]).unwrap();
        assert_eq!(password(&[]).len(), 32);
        assert_eq!(settings.hashing, PasswordHashing::Kept);
        assert_eq!(
            settings.overlap,
            Overlap::Bounded(Duration::from_secs(86_400))
        );
        assert!(settings.tls_ca_file.is_none() && settings.endpoint.is_none());
        assert!(settings.api_roots.is_none());
    }

    #[test]
    fn an_empty_variable_counts_as_not_set() {
        let empty = [
            "PASSWORD_LENGTH",
            "EXCLUDE_NUMBERS",
            "TLS_CA_FILE",
            "AWS_CA_BUNDLE",
        ]
        .map(|name| (name, ""));
        let settings = read(&empty).unwrap();
        assert!(settings.tls_ca_file.is_none() && settings.api_roots.is_none());
    }

    #[test]
    fn each_of_awss_variables_has_awss_meaning() {
        assert_eq!(password(&[("PASSWORD_LENGTH", "40")]).len(), 40);
        let digits = password(&[
            ("EXCLUDE_LOWERCASE", "true"),
            ("EXCLUDE_UPPERCASE", "YES"),
            ("EXCLUDE_PUNCTUATION", "1"),
            ("EXCLUDE_CHARACTERS", "0"),
            ("PASSWORD_LENGTH", "200"),
        ]);
        assert!(digits.chars().all(|c| ('1'..='9').contains(&c)), "{digits}");
        let without_digits = password(&[("EXCLUDE_NUMBERS", "y"), ("PASSWORD_LENGTH", "200")]);
        assert!(!without_digits.contains(|c: char| c.is_ascii_digit()));
        let anything = password(&[("EXCLUDE_CHARACTERS", ""), ("PASSWORD_LENGTH", "1000")]);
        assert!(anything.contains('@') && anything.contains('\\'));
        // 16 characters of which none needs to be punctuation: some of 200 draws lack it
        let loose = [
            ("REQUIRE_EACH_INCLUDED_TYPE", "false"),
            ("PASSWORD_LENGTH", "16"),
        ];
        let policy = read(&loose).unwrap().policy;
        assert!((0..200).any(|_| {
            let drawn = policy.generate(&mut SysRng).unwrap();
            !drawn.expose_secret().contains(|c: char| c.is_ascii_digit())
        }));
    }

    #[test]
    fn a_url_safe_password_needs_no_encoding_and_is_as_strong_as_any() {
        let safe = [
            ("PASSWORD_CHARACTERS", "url-safe"),
            ("EXCLUDE_CHARACTERS", "~0"),
        ];
        let policy = read(&safe).unwrap().policy;
        assert!(policy.bits() >= LEAST_BITS);
        for _ in 0..500 {
            let drawn = policy.generate(&mut SysRng).unwrap();
            let drawn = drawn.expose_secret();
            let url = format!("postgresql://app:{drawn}@db.example.com/shop");
            let url = url::Url::parse(&url).unwrap();
            assert_eq!(url.password(), Some(drawn));
            assert_eq!(url.host_str(), Some("db.example.com"));
            let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            assert!(drawn.chars().all(plain) && !drawn.contains('0'), "{drawn}");
        }
    }

    #[test]
    fn hosts_are_read_from_a_list_and_there_are_none_by_default() {
        assert!(read(&[]).unwrap().allowed_hosts.is_empty());
        let settings =
            read(&[("ALLOWED_HOSTS", "API.example.com, keys.example.com:8443")]).unwrap();
        let hosts = ["api.example.com", "keys.example.com:8443"].map(|host| host.parse().unwrap());
        assert_eq!(settings.allowed_hosts, hosts);
    }

    #[test]
    fn a_value_that_cannot_be_read_is_refused_with_the_variables_name() {
        for (name, value) in [
            ("PASSWORD_LENGTH", "long"),
            ("PASSWORD_LENGTH", "-1"),
            ("EXCLUDE_NUMBERS", "ture"),
            ("PASSWORD_HASHING", "md5"),
            ("PASSWORD_CHARACTERS", "any"),
            ("ADMINISTRATOR_CHANNEL_BINDING", "disable"),
            ("POOLER_ASKS_SERVER", "maybe"),
            ("OVERLAP_WINDOW", "soon"),
            ("OVERLAP_WINDOW", "1500ms"),
            ("OVERLAP_WINDOW", "584542046090years"),
            ("ALLOWED_HOSTS", "api.example.com, https://keys.example.com"),
            ("ALLOWED_HOSTS", "*.example.com"),
            ("ADMINISTRATOR_SECRETS", "rds/admin"),
            ("AWS_CA_BUNDLE", "/nowhere/ca.pem"),
        ] {
            let error = read(&[(name, value)]).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn a_weak_policy_is_refused_at_start() {
        let error = read(&[("PASSWORD_LENGTH", "12")]).unwrap_err();
        assert!(
            matches!(error, SettingsError::Policy(PasswordError::TooWeak { .. })),
            "{error}"
        );
    }
}
