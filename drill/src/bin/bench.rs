//! The command of `make bench`: measures ours and its peers in turns, prints tables, and rewrites docs/benchmarks.md. Use a release build.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use drill::{
    bench::{
        self, Effort, agents,
        page::{self, Part},
        python,
        rotation::{self, Side},
    },
    changeover, command, demo,
};
use local::{
    executable,
    postgres::Settings,
    world::{self, Options, World},
};

/// Measure a rotation, the agent and a changeover on this machine.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The rotation function's executable.
    #[arg(long)]
    function: PathBuf,
    /// A Python with boto3, psycopg and awslambdaric.
    #[arg(long)]
    python: PathBuf,
    /// Our agent's executable.
    #[arg(long)]
    agent: PathBuf,
    /// AWS's agent's executable, to measure it too.
    #[arg(long)]
    aws_agent: Option<PathBuf>,
    /// Measure everything once, only to see that it runs.
    #[arg(long)]
    short: bool,
    /// How long to watch each pool with rotations and without, in seconds: twelve runs. 0 leaves them out.
    #[arg(long, default_value_t = 120)]
    changeover: u64,
    /// The page to rewrite.
    #[arg(long)]
    page: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    command::run("bench", measure(Arguments::parse())).await
}

async fn measure(arguments: Arguments) -> Result<(), Error> {
    let mut out = io::stdout();
    let effort = if arguments.short {
        Effort::SHORT
    } else {
        Effort::FULL
    };
    let function = executable::function(Some(arguments.function))?;
    let files = tempfile::tempdir()?;
    let peer = python::function(&arguments.python, files.path())?;
    let ours = Side::start(&function, fs::metadata(&function)?.len()).await?;
    let python = Side::start(&peer, python::package(&arguments.python)?).await?;
    let rotation = Part {
        title: "A rotation",
        method: rotation::method(effort),
        rows: rotation::measure(&ours, &python, effort).await?,
    };
    bench::print(&rotation.rows, &mut out)?;
    drop(python);
    drop(ours);

    let world = World::start(Options::new(&function).own_postgres(Settings::default())).await?;
    let agent = Part {
        title: "The agent",
        method: agents::method(effort),
        rows: agents::measure(
            &world,
            &arguments.agent,
            arguments.aws_agent.as_deref(),
            effort,
        )
        .await?,
    };
    bench::print(&agent.rows, &mut out)?;
    if arguments.changeover > 0 {
        let length = Duration::from_secs(arguments.changeover);
        changeover::run(&world, length, &mut out).await?;
    }
    if let Some(page) = &arguments.page {
        let versions = [
            demo::server(&world).await?,
            python::versions(&arguments.python)?,
        ];
        page::write(page, &[rotation, agent], &versions)?;
        writeln!(out, "written to {}", page.display())?;
    }
    Ok(())
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Executable(#[from] executable::Error),
    #[error(transparent)]
    World(#[from] world::Error),
    #[error(transparent)]
    Bench(#[from] demo::Error),
    #[error(transparent)]
    Agent(#[from] agents::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
}
