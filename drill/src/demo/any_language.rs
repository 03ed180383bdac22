//! Programs that know nothing of this project: psql and a Python process, with a new connection for each query, follow a file that the
//! agent writes.

use std::{
    env, fs, io,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use local::world::{REGION, World};
use tempfile::TempDir;
use tokio::time::sleep;

use super::{Error, failure, show::Show};

const ROTATIONS: usize = 3;

/// How long the programs log in before, between and after the rotations.
const BETWEEN: Duration = Duration::from_millis(800);

const QUERY: &str = "SELECT count(*) FROM stock";

/// Reads a query, and answers with an empty line or an error.
const PYTHON: &str = "import sys, psycopg
for query in sys.stdin:
    try:
        with psycopg.connect('service=stock') as connection:
            connection.execute(query)
        print(flush=True)
    except psycopg.Error as error:
        print(' '.join(str(error).split()), flush=True)
";

/// Shows the scene, or says in a line what is missing for it.
pub(super) async fn show(world: &World, show: &mut Show<'_, impl Write>) -> Result<(), Error> {
    show.heading(&format!(
        "Any language: {ROTATIONS} rotations under programs that read the agent's file"
    ))?;
    let agent = beside_this_program("rotating-secret-agent");
    let psql = runs(Command::new("psql").arg("--version")).then_some(());
    let python = env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    let python = runs(Command::new(&python).args(["-c", "import psycopg"])).then_some(python);
    let missing: Vec<&str> = [
        ("rotating-secret-agent", agent.is_none()),
        ("psql", psql.is_none()),
        ("a Python with psycopg", python.is_none()),
    ]
    .into_iter()
    .filter_map(|(what, is_missing)| is_missing.then_some(what))
    .collect();
    if !missing.is_empty() {
        show.line(&format!("  skipped, not installed: {}", missing.join(", ")))?;
    }
    let Some(agent) = agent.filter(|_| psql.is_some() || python.is_some()) else {
        return Ok(());
    };
    let (_agent, services) = start(&agent, world).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut programs = Vec::new();
    if psql.is_some() {
        let (services, stop) = (services.clone(), stop.clone());
        programs.push((
            "psql",
            thread::spawn(move || count(&stop, || psql_logs_in(&services))),
        ));
    }
    if let Some(python) = python {
        let mut process = Process::start(Command::new(python), &services)?;
        let stop = stop.clone();
        programs.push((
            "Python",
            thread::spawn(move || count(&stop, || process.logs_in())),
        ));
    }
    for _ in 0..ROTATIONS {
        sleep(BETWEEN).await;
        let rotation = world
            .secrets_manager()
            .rotate(world.alternating_users())
            .await?;
        if !rotation.succeeded {
            return Err(Error::NotRotated(failure(&rotation)));
        }
    }
    sleep(BETWEEN).await;
    stop.store(true, Relaxed);
    for (name, program) in programs {
        let logins = program.join().unwrap_or_default();
        let failed = logins.failed.len();
        show.line(&format!(
            "  {name:<14} {} logins, {failed} failed",
            logins.all
        ))?;
        if let Some(first) = logins.failed.first() {
            show.line(&format!("  the first one: {first}"))?;
        }
    }
    Ok(())
}

/// An executable in the folder of this one.
fn beside_this_program(name: &str) -> Option<PathBuf> {
    let path = env::current_exe().ok()?.with_file_name(name);
    path.is_file().then_some(path)
}

fn runs(command: &mut Command) -> bool {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null());
    command
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Starts the agent, and waits for its file.
async fn start(agent: &Path, world: &World) -> Result<(Agent, PathBuf), Error> {
    let folder = tempfile::tempdir()?;
    let secret = world.alternating_users();
    let (directory, ca_file) = (
        folder.path().join("stock"),
        world.ca_file().display().to_string(),
    );
    let settings = folder.path().join("settings.toml");
    fs::write(
        &settings,
        format!(
            "endpoint = \"{}\"\noverlap_window = \"{}\"\n\
             [[listen]]\nsecret = \"{secret}\"\nca_file = \"{ca_file}\"\n\
             [[files]]\nsecret = \"{secret}\"\ndirectory = \"{}\"\n\
             [[files.write]]\nformat = \"pg_service\"\nservice = \"stock\"\nparameters = {{ sslrootcert = \"{ca_file}\" }}\n",
            world.endpoint(),
            super::WINDOW,
            directory.display(),
        ),
    )?;
    let configuration = folder.path().join("agent.toml");
    fs::write(
        &configuration,
        "[capabilities.secrets_manager]\nhttp_port = 0\n[capabilities.secrets_manager.cache]\nttl_seconds = 1\n",
    )?;
    let process = Command::new(agent)
        .args(["sm", "start", "--config"])
        .arg(configuration)
        .arg("--settings")
        .arg(settings)
        .env_clear()
        .env("AWS_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", "local")
        .env("AWS_SECRET_ACCESS_KEY", "local")
        .env("AWS_TOKEN", "nobody-asks-for-it")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut agent = Agent {
        process,
        _folder: folder,
    };
    let services = directory.join("current/pg_service.conf");
    while !services.is_file() {
        if let Some(status) = agent.process.try_wait()? {
            return Err(io::Error::other(format!("the agent ended with {status}")).into());
        }
        sleep(Duration::from_millis(10)).await;
    }
    Ok((agent, services))
}

/// The agent's process and folder: both end with the scene.
struct Agent {
    process: Child,
    _folder: TempDir,
}

impl Drop for Agent {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

fn end(process: &mut Child) {
    // an error means that it has ended already
    let _ = process.kill();
    let _ = process.wait();
}

#[derive(Default)]
struct Logins {
    all: usize,
    failed: Vec<String>,
}

/// Logs in again and again.
fn count(stop: &AtomicBool, mut log_in: impl FnMut() -> io::Result<String>) -> Logins {
    let mut logins = Logins::default();
    while !stop.load(Relaxed) {
        let error = log_in().unwrap_or_else(|error| error.to_string());
        logins.all += 1;
        logins
            .failed
            .extend(Some(error).filter(|error| !error.is_empty()));
    }
    logins
}

/// Returns what psql reports as an error.
fn psql_logs_in(services: &Path) -> io::Result<String> {
    let psql = Command::new("psql")
        .args(["-XqAt", "service=stock", "-c", QUERY])
        .env("PGSERVICEFILE", services)
        .stdin(Stdio::null())
        .output()?;
    Ok(String::from_utf8_lossy(&psql.stderr).trim().to_owned())
}

/// One Python process for all its logins.
struct Process(Child, BufReader<std::process::ChildStdout>);

impl Process {
    fn start(mut python: Command, services: &Path) -> io::Result<Self> {
        let mut process = python
            .args(["-c", PYTHON])
            .env("PGSERVICEFILE", services)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let answers = process.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Self(process, BufReader::new(answers)))
    }

    fn logs_in(&mut self) -> io::Result<String> {
        let queries = self.0.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(queries, "{QUERY}")?;
        let mut answer = String::new();
        match self.1.read_line(&mut answer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(answer.trim().to_owned()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        end(&mut self.0);
    }
}
