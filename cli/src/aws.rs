//! Clients of AWS's services: region, profile and endpoint as the AWS CLI takes them.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use crate::arguments::AwsArguments;

/// What all clients are made from.
pub async fn configuration(arguments: &AwsArguments) -> SdkConfig {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
    if let Some(region) = &arguments.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(profile) = &arguments.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(endpoint) = &arguments.endpoint_url {
        loader = loader.endpoint_url(endpoint);
    }
    loader.load().await
}
