//! The command of `make bench`: measures ours and its peers in turns, prints tables, and rewrites docs/benchmarks.md. Use a release build.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, ValueEnum};
use drill::{
    bench::{
        self, Effort, agents, builds, changeover, client, fleet, operator, page, pools, python,
        rotation::{self, Side},
        row::Part,
    },
    command, demo,
};
use local::{
    executable,
    world::{self, Options, World},
};

/// Measure this project beside its peers on this machine.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The rotation function's executable.
    #[arg(long)]
    function: PathBuf,
    /// A Python with boto3, psycopg and awslambdaric.
    #[arg(long)]
    python: PathBuf,
    /// The folder of AWS's rotation functions, to measure its two for PostgreSQL too. The Python then needs PyGreSQL.
    #[arg(long)]
    aws_functions: Option<PathBuf>,
    /// Our agent's executable.
    #[arg(long)]
    agent: PathBuf,
    /// AWS's agent's executable, to measure it too.
    #[arg(long)]
    aws_agent: Option<PathBuf>,
    /// The executable of client/bench.
    #[arg(long)]
    client: PathBuf,
    /// rotatectl's executable.
    #[arg(long)]
    rotatectl: PathBuf,
    /// The client's features, to count the crates of each.
    #[arg(long, num_args = 0..)]
    features: Vec<String>,
    /// Measure everything once, only to see that it runs. Builds nothing.
    #[arg(long)]
    short: bool,
    /// How long to watch each pool, in seconds: six times with rotations and six times without.
    #[arg(long)]
    changeover: Option<u64>,
    /// Measure only this part, which may be given several times.
    #[arg(long)]
    only: Vec<Topic>,
    /// The page to rewrite. Parts that are not measured stay as they are.
    #[arg(long)]
    page: Option<PathBuf>,
}

/// A part of the page.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Topic {
    Rotation,
    AwsFunctions,
    Agent,
    Client,
    Pools,
    Changeover,
    Fleet,
    Operator,
    Builds,
}

#[tokio::main]
async fn main() -> ExitCode {
    command::run("bench", measure(Arguments::parse())).await
}

async fn measure(arguments: Arguments) -> Result<(), Error> {
    let mut effort = match arguments.short {
        true => Effort::SHORT,
        false => Effort::FULL,
    };
    if let Some(seconds) = arguments.changeover {
        effort.pools = Duration::from_secs(seconds);
    }
    let topics = match arguments.only.is_empty() {
        true => Topic::value_variants(),
        false => &arguments.only,
    };
    let function = executable::function(Some(arguments.function.clone()))?;
    let world = changeover::world(Options::new(&function), effort);
    let world = World::start(world).await?;
    let mut out = io::stdout();
    let mut parts = Vec::new();
    for topic in topics {
        // boxed: the nested futures are large
        let part = Box::pin(part(*topic, &arguments, &function, &world, effort)).await?;
        let Some(part) = part else { continue };
        writeln!(out, "{}", part.title)?;
        bench::print(&part.rows, &mut out)?;
        parts.push(part);
    }
    if let Some(page) = &arguments.page {
        let versions = [
            demo::server(&world).await?,
            python::versions(&arguments.python)?,
        ];
        page::write(page, &parts, &versions)?;
        writeln!(out, "written to {}", page.display())?;
    }
    Ok(())
}

async fn part(
    topic: Topic,
    arguments: &Arguments,
    function: &PathBuf,
    world: &World,
    effort: Effort,
) -> Result<Option<Part>, Error> {
    let (title, method, rows) = match topic {
        Topic::Rotation => {
            let files = tempfile::tempdir()?;
            let peer = python::function(&arguments.python, files.path())?;
            let ours = Side::start("ours", function).await?;
            let theirs = Side::start("Python", &peer).await?;
            let packages = [
                fs::metadata(function)?.len(),
                python::package(&arguments.python)?,
            ];
            let rows = rotation::measure(&ours, &theirs, packages, effort).await?;
            ("A rotation", rotation::method(effort), rows)
        }
        Topic::AwsFunctions => {
            let Some(functions) = &arguments.aws_functions else {
                return Ok(None);
            };
            let files = tempfile::tempdir()?;
            let ours = Side::start("ours", function).await?;
            let mut sides = Vec::new();
            for name in python::AWSS {
                let (folder, to) = (functions.join(name), files.path().join(name));
                let function = python::awss_function(&arguments.python, &folder, &to)?;
                sides.push(Side::start("AWS's function", &function).await?);
            }
            let rows = rotation::beside_awss(&ours, &sides, effort).await?;
            (
                "Beside AWS's functions",
                rotation::awss_method(effort),
                rows,
            )
        }
        Topic::Agent => {
            let (ours, awss) = (&arguments.agent, arguments.aws_agent.as_deref());
            let rows = agents::measure(world, ours, awss, effort).await?;
            ("The agent", agents::method(effort), rows)
        }
        Topic::Client => {
            let rows = client::measure(&arguments.client)?;
            ("A read from the client", client::METHOD.to_owned(), rows)
        }
        Topic::Pools => {
            let rows = pools::measure(world, effort).await?;
            ("Requests during a changeover", pools::method(effort), rows)
        }
        Topic::Changeover => {
            let rows = changeover::measure(world, effort).await?;
            ("A changeover", changeover::method(effort), rows)
        }
        Topic::Fleet => {
            let rows = fleet::measure(effort).await?;
            ("A fleet", fleet::method(effort), rows)
        }
        Topic::Operator => {
            let rows = operator::measure(world, &arguments.rotatectl, effort).await?;
            ("Many secrets", operator::method(effort), rows)
        }
        Topic::Builds => {
            let rows = builds::measure(&arguments.features, effort)?;
            ("A build", builds::method(effort), rows)
        }
    };
    Ok(Some(Part {
        title,
        method,
        rows,
    }))
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Executable(#[from] executable::Error),
    #[error(transparent)]
    World(#[from] world::Error),
    #[error(transparent)]
    Bench(#[from] bench::Error),
    #[error(transparent)]
    Rotation(#[from] demo::Error),
    #[error(transparent)]
    Agent(#[from] agents::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
}
