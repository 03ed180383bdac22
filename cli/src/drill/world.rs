//! A drill in a world on this machine, which is removed afterwards.

use std::io;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use drill::{demo, rehearsal::Rehearsal};
use local::{
    executable,
    postgres::Settings,
    world::{Options, REGION, World},
};

use super::{Asked, DrillArguments, Error, one};

/// Rehearses one secret of the world, or without a secret the whole of `make demo`.
pub(super) async fn rehearse(
    secret: Option<&str>,
    arguments: &DrillArguments,
) -> Result<Vec<Rehearsal>, Error> {
    let function = executable::function(arguments.function.clone())?;
    let options = Options::new(function).own_postgres(Settings::default());
    let Some(secret) = secret else {
        return all(options, arguments).await;
    };
    let world = World::start(options).await?;
    let ca_file = Some(world.postgres().ca_file());
    Ok(vec![
        one(
            &configuration(&world),
            ca_file,
            secret,
            arguments,
            Asked::Never,
        )
        .await?,
    ])
}

async fn all(options: Options, arguments: &DrillArguments) -> Result<Vec<Rehearsal>, Error> {
    let world = World::start(demo::options(options)).await?;
    let rotations = arguments.rotations.map_or(demo::ROTATIONS, usize::from);
    let rehearsals = if arguments.json {
        demo::run(&world, &mut io::sink(), false, rotations).await
    } else {
        let colors = console::colors_enabled();
        demo::run(&world, &mut io::stdout(), colors, rotations).await
    };
    Ok(rehearsals?)
}

/// The configuration of the world's services. They accept any credentials, so the operator's own are not used.
fn configuration(world: &World) -> SdkConfig {
    let credentials = Credentials::new("local", "local", None, None, "local");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(world.endpoint())
        .region(Region::new(REGION))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}
