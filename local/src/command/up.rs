//! `local up`: a world until Ctrl-C.

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, value_parser};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Error, PORT, print};
use crate::{
    executable,
    postgres::Settings,
    secrets_manager::{Retry, labels::Promotion},
    world::{Options, Ready, World},
};

/// Start a world, print one line of JSON when it is ready, and serve until Ctrl-C.
///
/// If stderr is a terminal, it shows the lines to export in another terminal.
///
/// Secrets rotate on RotateSecret and on their schedule, by a clock that `local schedule --advance` moves. Tests in any language
/// move the clock and set faults over HTTP, at /_local.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rotatectl local up                                 at http://127.0.0.1:4599
  rotatectl local up --port 0 --function bootstrap   a free port, and your own function
  rotatectl local up --attempts 5 --retry-interval 100s --cold-starts \\
    --promotion drops-pending                        as slow and as unpleasant as
                                                     AWS may be

  export AWS_ENDPOINT_URL=http://127.0.0.1:4599 AWS_DEFAULT_REGION=us-east-1
  export AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x
  aws secretsmanager rotate-secret --secret-id demo/orders/single")]
pub struct UpArguments {
    /// The port of all services; 0 chooses a free one.
    #[arg(long, default_value_t = PORT)]
    pub port: u16,
    /// The rotation function's executable. Default: the one of this workspace, which is built.
    #[arg(long, value_name = "FILE")]
    pub function: Option<PathBuf>,
    /// Stage this token as AWSPENDING on the single-user secret, and leave the four steps to you.
    #[arg(long, value_name = "TOKEN")]
    pub stage: Option<String>,
    /// How many times to attempt a rotation before it is given up; AWS makes about 5 attempts.
    #[arg(long, value_name = "NUMBER", default_value_t = Retry::default().attempts, value_parser = value_parser!(u32).range(1..))]
    pub attempts: u32,
    /// The time between two attempts, also after a refused RotateSecret; with AWS about 100s.
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = humantime::parse_duration)]
    pub retry_interval: Duration,
    /// Run each step in a new process of the function, as AWS may do: no step finds what another step kept.
    #[arg(long)]
    pub cold_starts: bool,
    /// What happens to AWSPENDING when its version becomes AWSCURRENT. AWS does not promise one of these.
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    pub promotion: Promotion,
}

pub(super) async fn run(arguments: UpArguments) -> Result<(), Error> {
    let mut stop = Stop::listen()?;
    let function = executable::function(arguments.function)?;
    let mut options = Options::new(function)
        .own_postgres(Settings::default())
        .with_key_service();
    (options.port, options.show_log) = (arguments.port, true);
    options.retry = Retry {
        attempts: arguments.attempts,
        interval: arguments.retry_interval,
    };
    (options.cold_starts, options.promotion) = (arguments.cold_starts, arguments.promotion);
    let world = tokio::select! {
        // boxed: the nested futures make a type that is too deep for the compiler
        world = Box::pin(World::start(options)) => world?,
        () = stop.requested() => return Ok(()),
    };
    if let Some(token) = arguments.stage {
        world.secrets_manager().stage(world.single_user(), &token)?;
    }
    let ready = world.ready();
    print(&serde_json::to_string(&ready).map_err(io::Error::from)?)?;
    if io::stderr().is_terminal() {
        // below the JSON, for a person; a closed stderr is no error
        let _ = write!(io::stderr(), "{}", exports(&ready));
    }
    stop.requested().await;
    Ok(())
}

/// The lines to export in another terminal, so that the AWS CLI and rotatectl use this world.
fn exports(ready: &Ready) -> String {
    let (endpoint, region, ca_file) = (&ready.endpoint, ready.region, ready.ca_file.display());
    format!(
        "\nReady. In another terminal:\n\n\
         export AWS_ENDPOINT_URL={endpoint} AWS_REGION={region} AWS_DEFAULT_REGION={region}\n\
         export AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x\n\
         export TLS_CA_FILE={ca_file}\n\n\
         Ctrl-C ends it and leaves nothing behind.\n"
    )
}

/// Ctrl-C and SIGTERM.
struct Stop(Signal, Signal);

impl Stop {
    fn listen() -> io::Result<Self> {
        Ok(Self(
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        ))
    }

    async fn requested(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
        }
    }
}
