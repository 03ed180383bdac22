//! Clients of AWS's services. Region, profile, endpoint, roots and time limits work as in the AWS CLI.
//!
//! | file | what |
//! |---|---|
//! | `profile` | chooses the credentials |
//! | `place` | a secret's account and region |
//! | `calls` | prints each call, with `--verbose` |
//! | `paced` | keeps below the quotas of calls per second |
//! | `error` | what the services' errors mean |

mod calls;
mod error;
mod paced;
mod place;
mod profile;

use std::{env, fs, path::PathBuf, time::Duration};

use aws_config::{
    BehaviorVersion, Region, SdkConfig, environment::EnvironmentVariableRegionProvider,
    meta::region::RegionProviderChain, profile::ProfileFileRegionProvider,
    provider_config::ProviderConfig, stalled_stream_protection::StalledStreamProtectionConfig,
    timeout::TimeoutConfig,
};
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use clap::Args;
use secret_rotation::document::duration;

use self::profile::Profile;
pub use self::{
    error::{Error, explain},
    place::{Place, function_arn},
};
use crate::terminal::tell;

/// The time limit of a connection and of an answer: the AWS CLI's default.
const PATIENCE: Duration = Duration::from_secs(60);

/// Options with the AWS CLI's meaning.
#[derive(Clone, Debug, Default, Args)]
pub struct AwsArguments {
    /// The region. Default: the region of a full ARN, AWS_REGION, AWS_DEFAULT_REGION, or the profile's.
    #[arg(long, global = true, help_heading = "AWS")]
    pub region: Option<String>,
    /// The profile; it overrides keys in the environment. Default: AWS_PROFILE, or the profile "default".
    #[arg(long, global = true, help_heading = "AWS")]
    pub profile: Option<String>,
    /// Another endpoint. Default: AWS_ENDPOINT_URL, or the region's.
    #[arg(long, global = true, help_heading = "AWS", value_name = "URL")]
    pub endpoint_url: Option<String>,
    /// Print each call to AWS on stderr: the operation, the status of the answer, and the time. Prints no value.
    #[arg(long, short, global = true)]
    pub verbose: bool,
    /// Give up after this time, also if work is left. One call may take a minute, as with the AWS CLI.
    #[arg(long, global = true, value_name = "TIME", value_parser = duration)]
    pub timeout: Option<Duration>,
}

impl AwsArguments {
    /// An option that selects region, profile or endpoint, if one was given.
    pub(crate) fn named(&self) -> Option<&'static str> {
        let named = [
            (&self.profile, "--profile"),
            (&self.region, "--region"),
            (&self.endpoint_url, "--endpoint-url"),
        ];
        let mut named = named.into_iter().filter(|(value, _)| value.is_some());
        named.next().map(|(_, option)| option)
    }
}

/// The configuration of all clients. `secrets` are names or ARNs; a full ARN decides the region.
///
/// # Errors
///
/// There is no region, or there are two; the profile does not exist; `AWS_CA_BUNDLE` has no certificates.
pub async fn configuration(given: &AwsArguments, secrets: &[String]) -> Result<SdkConfig, Error> {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(roots()?)
        .build_https();
    let http = match given.verbose {
        true => calls::logged(http),
        false => http,
    };
    // around the log, so that a call's time does not include the wait for its turn
    let http = paced::paced(http);
    let limits = TimeoutConfig::builder()
        .connect_timeout(PATIENCE)
        .read_timeout(PATIENCE)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http.clone())
        // a call that waits for its turn sends nothing, and on a busy machine counted as stalled; `limits` end one that was sent
        .stalled_stream_protection(
            StalledStreamProtectionConfig::enabled()
                .upload_enabled(false)
                .build(),
        )
        .timeout_config(limits.clone());
    let profile = profile::chosen(given.profile.as_deref()).await?;
    let region = match place::region(given.region.as_deref(), secrets)? {
        Some(region) => Some(Region::new(region)),
        None => region_of(profile.as_ref()).await,
    };
    // otherwise the SDK might ask the machine (EC2's metadata)
    if let Some(region) = region.clone() {
        loader = loader.region(region);
    }
    if let Some(profile) = &profile {
        // the profile's role is assumed in the same region
        let calls = ProviderConfig::without_region()
            .with_region(region)
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
        // an empty variable counts as unset
        Some(region) if !region.as_ref().is_empty() => {
            if given.verbose {
                let whose = profile.map(|profile| format!("profile {}", profile.name()));
                let whose = whose.unwrap_or_else(|| "the environment's credentials".to_owned());
                tell(&format!("region {region}, {whose}"));
            }
            Ok(configuration)
        }
        _ => Err(Error::NoRegion {
            profile: profile.map_or_else(|| "default".to_owned(), |profile| profile.name()),
        }),
    }
}

/// The region of the environment or of the profile, as in the AWS CLI.
async fn region_of(profile: Option<&Profile>) -> Option<Region> {
    let mut of_profile = ProfileFileRegionProvider::builder();
    if let Some(profile) = profile {
        of_profile = of_profile.profile_name(profile.name());
    }
    let environment = EnvironmentVariableRegionProvider::new();
    let chain = RegionProviderChain::first_try(environment).or_else(of_profile.build());
    chain.region().await
}

/// The machine's roots, or else those of the file in `AWS_CA_BUNDLE`.
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
