//! Clients of AWS's services: region, profile, endpoint, roots and time limits as the AWS CLI takes them.
//!
//! | file | what |
//! |---|---|
//! | `profile` | whose credentials are used |
//! | `place` | the account and the region that a secret is in |
//! | `error` | what the services' errors mean |

mod error;
mod place;
mod profile;

use std::{env, fs, path::PathBuf, time::Duration};

use aws_config::{
    BehaviorVersion, Region, SdkConfig, provider_config::ProviderConfig, timeout::TimeoutConfig,
};
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use clap::Args;

pub use self::{
    error::{Error, explain},
    place::{Place, function_arn},
};

/// How long a connection, and an answer, may take: the AWS CLI's defaults.
const PATIENCE: Duration = Duration::from_secs(60);

/// Taken as the AWS CLI takes them.
#[derive(Clone, Debug, Default, Args)]
pub struct AwsArguments {
    /// The region; without it a full ARN's, AWS_REGION, AWS_DEFAULT_REGION or the profile's.
    #[arg(long, global = true, help_heading = "AWS")]
    pub region: Option<String>,
    /// The profile, also where keys are in the environment; without it AWS_PROFILE's, or the default one.
    #[arg(long, global = true, help_heading = "AWS")]
    pub profile: Option<String>,
    /// Another endpoint; without it AWS_ENDPOINT_URL or the region's.
    #[arg(long, global = true, help_heading = "AWS", value_name = "URL")]
    pub endpoint_url: Option<String>,
    /// Give up after this time, whatever is still to be done. One call may take a minute, as with the AWS CLI.
    #[arg(long, global = true, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
}

/// What all clients are made from. `secrets` are names or ARNs: a full ARN decides the region.
///
/// # Errors
///
/// No region is known, or two are; the profile does not exist; `AWS_CA_BUNDLE` holds no certificates.
pub async fn configuration(given: &AwsArguments, secrets: &[String]) -> Result<SdkConfig, Error> {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(roots()?)
        .build_https();
    let limits = TimeoutConfig::builder()
        .connect_timeout(PATIENCE)
        .read_timeout(PATIENCE)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http.clone())
        .timeout_config(limits.clone());
    if let Some(region) = place::region(given.region.as_deref(), secrets)? {
        loader = loader.region(Region::new(region));
    }
    let profile = profile::chosen(given.profile.as_deref()).await?;
    if let Some(profile) = &profile {
        let calls = ProviderConfig::without_region()
            .with_http_client(http)
            .with_timeout_config(limits);
        loader = loader
            .profile_name(profile.name())
            .credentials_provider(profile.credentials(&calls));
    }
    if let Some(endpoint) = &given.endpoint_url {
        loader = loader.endpoint_url(endpoint);
    }
    let configuration = loader.load().await;
    match configuration.region() {
        // an empty variable is none
        Some(region) if !region.as_ref().is_empty() => Ok(configuration),
        _ => Err(Error::NoRegion {
            profile: profile.map_or_else(|| "default".to_owned(), |profile| profile.name()),
        }),
    }
}

/// The machine's roots, or in their place those in the file that `AWS_CA_BUNDLE` names.
fn roots() -> Result<TlsContext, Error> {
    let mut trust = TrustStore::default();
    if let Some(file) = env::var_os("AWS_CA_BUNDLE").filter(|file| !file.is_empty()) {
        let file = PathBuf::from(file);
        let pem = fs::read(&file).map_err(|reason| Error::Roots { file, reason })?;
        trust = TrustStore::empty().with_pem_certificate(pem);
    }
    TlsContext::builder()
        .with_trust_store(trust)
        .build()
        .map_err(|error| Error::Tls {
            reason: error.to_string(),
        })
}
