//! Which credentials are used: those of a named profile, or else those that the SDK finds.
//!
//! The SDK prefers keys in the environment to a given profile. But a person who types `--profile prod` means that profile, so only
//! that profile is used. Its errors name the profile and its way to sign in.

use std::{borrow::Cow, env};

use aws_config::{
    profile::{Profile as Section, ProfileFileCredentialsProvider, ProfileSet, load},
    provider_config::ProviderConfig,
};
use aws_credential_types::provider::{
    ProvideCredentials, Result as Provided, error::CredentialsError, future,
};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::{Env, Fs};

use super::{Error, error::innermost};

/// A profile of the AWS CLI's files.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    name: String,
    sign_in: SignIn,
}

/// The source of a profile's credentials.
#[derive(Clone, Debug)]
enum SignIn {
    Sso,
    Process,
    Role(String),
    Keys,
}

/// The profile to use: the named one. Else, if the environment has no keys, that of AWS_PROFILE, or the default profile if it has
/// credentials. None: the SDK decides.
///
/// # Errors
///
/// The named profile does not exist, the files cannot be read, or the environment has only half of a key.
pub(super) async fn chosen(named: Option<&str>) -> Result<Option<Profile>, Error> {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let (id, key) = (
        variable("AWS_ACCESS_KEY_ID"),
        variable("AWS_SECRET_ACCESS_KEY"),
    );
    let name = match (named, &id, &key) {
        (Some(named), ..) => Some(named.to_owned()),
        (None, Some(_), Some(_)) => return Ok(None),
        (None, Some(_), None) => return Err(Error::half_a_key("AWS_SECRET_ACCESS_KEY")),
        (None, None, Some(_)) => return Err(Error::half_a_key("AWS_ACCESS_KEY_ID")),
        (None, None, None) => variable("AWS_PROFILE"),
    };
    let (files, fs, env) = (EnvConfigFiles::default(), Fs::real(), Env::real());
    let selected = name.clone().map(Cow::Owned);
    let profiles = load(&fs, &env, &files, selected).await;
    let profiles = profiles.map_err(|error| Error::ProfileFiles {
        reason: innermost(&error),
    })?;
    match name {
        Some(name) => match profiles.get_profile(&name) {
            Some(section) => Ok(Some(Profile::new(name, section))),
            None => Err(unknown(name, &profiles)),
        },
        None => Ok(profiles
            .get_profile("default")
            .filter(|section| has_credentials(section))
            .map(|section| Profile::new("default".to_owned(), section))),
    }
}

fn unknown(profile: String, profiles: &ProfileSet) -> Error {
    let mut known: Vec<&str> = profiles.profiles().collect();
    known.sort_unstable();
    Error::UnknownProfile {
        profile,
        known: if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        },
    }
}

fn has_credentials(section: &Section) -> bool {
    [
        "aws_access_key_id",
        "role_arn",
        "sso_session",
        "sso_start_url",
        "credential_process",
        "login_session",
    ]
    .iter()
    .any(|property| section.get(property).is_some())
}

impl Profile {
    fn new(name: String, section: &Section) -> Self {
        let has = |property: &str| section.get(property).is_some();
        let sign_in = if let Some(role) = section.get("role_arn") {
            SignIn::Role(role.to_owned())
        } else if has("sso_session") || has("sso_start_url") {
            SignIn::Sso
        } else if has("credential_process") {
            SignIn::Process
        } else {
            SignIn::Keys
        };
        Self { name, sign_in }
    }

    pub(super) fn name(&self) -> String {
        self.name.clone()
    }

    /// The credentials of this profile only.
    pub(super) fn credentials(&self, calls: &ProviderConfig) -> impl ProvideCredentials + use<> {
        let inner = ProfileFileCredentialsProvider::builder()
            .configure(calls)
            .profile_name(&self.name);
        OfProfile {
            profile: self.clone(),
            inner: inner.build(),
        }
    }

    /// The failure, and what to do.
    fn explain(&self, error: &CredentialsError) -> String {
        let (name, reason) = (&self.name, innermost(error));
        match &self.sign_in {
            SignIn::Sso => format!(
                "profile {name} signs in with SSO, and that failed ({reason}): run aws sso login --profile {name}"
            ),
            SignIn::Process => format!(
                "the credential_process of profile {name} failed ({reason}): run it by hand and see its output"
            ),
            SignIn::Role(role) => format!(
                "profile {name} could not assume {role} ({reason}): check its source_profile or credential_source, and \
                 the role's trust policy"
            ),
            SignIn::Keys => format!(
                "profile {name} has no usable credentials ({reason}): give it keys with aws configure --profile {name}, \
                 or a role, SSO or a credential_process"
            ),
        }
    }
}

#[derive(Debug)]
struct OfProfile {
    profile: Profile,
    inner: ProfileFileCredentialsProvider,
}

impl OfProfile {
    async fn load(&self) -> Provided {
        let provided = self.inner.provide_credentials().await;
        provided
            .map_err(|error| CredentialsError::invalid_configuration(self.profile.explain(&error)))
    }
}

impl ProvideCredentials for OfProfile {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.load())
    }
}
