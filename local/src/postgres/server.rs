//! The server's processes.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Write},
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use nix::unistd::{Uid, User};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::{Error, binaries, certificates::Authority};
use crate::guard::Guard;

/// How long a server may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The settings of a server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether it speaks TLS.
    pub tls: bool,
    /// The host names and addresses in its certificate.
    pub certificate_hosts: Vec<String>,
    /// How many days its certificate is valid. A negative number means that it has expired.
    pub certificate_days: i64,
    /// Lines for `postgresql.conf`.
    pub conf: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tls: true,
            certificate_hosts: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
            certificate_days: 365,
            conf: String::new(),
        }
    }
}

/// A running server. Dropping it stops it and removes its folder.
pub struct Postgres {
    folder: PathBuf,
    port: u16,
    superuser_password: SecretString,
    /// None for a standby, which uses its primary's certificate.
    authority: Option<Authority>,
    process: Child,
    guard: Guard,
}

impl Postgres {
    /// The superuser's name.
    pub const SUPERUSER: &'static str = "postgres";

    /// Creates a cluster in a temporary folder and starts it. Returns when it answers.
    ///
    /// # Errors
    ///
    /// This machine has no PostgreSQL, or the server does not start. The message says what to do.
    pub async fn start(settings: Settings) -> Result<Self, Error> {
        let mut cluster = Cluster::new()?;
        let superuser_password = SecretString::from(Uuid::new_v4().simple().to_string());
        cluster.initdb(&superuser_password, &settings)?;
        cluster.start(superuser_password).await
    }

    /// The server that all tests of a process share. It lives as long as the process.
    ///
    /// # Errors
    ///
    /// The same as for [`Postgres::start`].
    pub async fn shared() -> Result<&'static Self, Error> {
        // a static is never dropped: the guard cleans up when the process ends
        static SHARED: OnceCell<Postgres> = OnceCell::const_new();
        SHARED
            .get_or_try_init(|| Self::start(Settings::default()))
            .await
    }

    /// The host for secrets. The server's certificate has this name.
    pub fn host(&self) -> &'static str {
        "localhost"
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The CA's certificate, a PEM file.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Replaces the certificate by a new one from the same CA. The server uses it once it has reloaded its configuration.
    ///
    /// # Errors
    ///
    /// The files cannot be written, or this is a standby.
    pub fn issue_certificate(&self, days: i64) -> Result<(), Error> {
        let authority = self.authority.as_ref().ok_or(Error::NoAuthority)?;
        let certificate = authority.sign(days)?;
        // an existing file keeps its owner and its mode
        let write = |name: &str, text: &str| {
            fs::write(self.folder.join(name), text).map_err(Error::io("write a file"))
        };
        write("data/server.crt", &certificate.certificate)?;
        write("data/server.key", &certificate.key)
    }

    /// The superuser's password.
    pub fn superuser_password(&self) -> &SecretString {
        &self.superuser_password
    }

    /// The temporary folder: `data`, `log`, `ca.pem`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("folder", &self.folder)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.guard.release();
        // reap it here: the guard would wait for a zombie process
        let _ = self.process.wait();
    }
}

/// A folder for a server that does not run yet. Dropping it removes the folder.
pub(super) struct Cluster {
    pub(super) folder: PathBuf,
    guard: Guard,
    binaries: PathBuf,
    user: Option<User>,
    authority: Option<Authority>,
}

impl Cluster {
    pub(super) fn new() -> Result<Self, Error> {
        let (binaries, user) = (binaries::folder()?, user()?);
        let folder = tempfile::Builder::new()
            .prefix("secret-rotation-")
            .tempdir()
            .map_err(Error::io("make a temporary folder"))?;
        // guarded from now on: during initdb, about 1 s, the superuser's password is in a file
        let guard =
            Guard::over(Some(folder.path())).map_err(Error::io("start the server's guard"))?;
        let cluster = Self {
            folder: folder.keep(), // the guard removes it
            guard,
            binaries,
            user,
            authority: None,
        };
        cluster.hand_over(&cluster.folder)?;
        Ok(cluster)
    }

    fn initdb(
        &mut self,
        superuser_password: &SecretString,
        settings: &Settings,
    ) -> Result<(), Error> {
        let password_file = self.write("password", superuser_password.expose_secret())?;
        self.run("initdb", |command| {
            command.args([
                "--pgdata",
                "data",
                "--username",
                Postgres::SUPERUSER,
                "--auth",
                "scram-sha-256",
            ]);
            command
                .args([
                    "--encoding",
                    "UTF8",
                    "--locale",
                    "C",
                    "--no-sync",
                    "--pwfile",
                ])
                .arg(&password_file);
        })?;
        fs::remove_file(password_file).map_err(Error::io("remove the password's file"))?;

        let authority = Authority::new(&settings.certificate_hosts)?;
        let certificate = authority.sign(settings.certificate_days)?;
        self.write("ca.pem", &authority.pem)?;
        self.write("data/server.crt", &certificate.certificate)?;
        self.write("data/server.key", &certificate.key)?;
        self.authority = Some(authority);
        let mut conf = File::options()
            .append(true)
            .open(self.folder.join("data/postgresql.conf"))
            .map_err(Error::io("open postgresql.conf"))?;
        // no fsync: a scratch server may lose its data. Tests count the lines of the log.
        writeln!(
            conf,
            "ssl = {}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nfsync = off\n\
             full_page_writes = off\nlog_connections = on\nlog_disconnections = on\n{}",
            if settings.tls { "on" } else { "off" },
            settings.conf
        )
        .map_err(Error::io("write postgresql.conf"))
    }

    pub(super) async fn start(
        mut self,
        superuser_password: SecretString,
    ) -> Result<Postgres, Error> {
        let log = File::create(self.folder.join("log")).map_err(Error::io("make the log"))?;
        let port = free_port()?;
        let mut process = self
            .command("postgres")
            .args(["-D", "data", "-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn()
            .map_err(Error::io("start postgres"))?;
        if let Err(error) = self.guard.watch(process.id(), "INT") {
            // without a guard, nothing would end the server
            let _ = process.kill().and_then(|()| process.wait());
            return Err(Error::io("guard the server")(error));
        }
        let mut postgres = Postgres {
            folder: self.folder,
            port,
            superuser_password,
            authority: self.authority,
            process,
            guard: self.guard,
        };
        postgres.wait_until_ready().await?;
        Ok(postgres)
    }

    /// Runs a PostgreSQL program to its end.
    pub(super) fn run(
        &mut self,
        program: &'static str,
        arguments: impl FnOnce(&mut Command),
    ) -> Result<(), Error> {
        let mut command = self.command(program);
        arguments(&mut command);
        let ended = self
            .watched(&mut command)
            .map_err(Error::io("run a PostgreSQL program"))?;
        if ended.status.success() {
            return Ok(());
        }
        Err(Error::Program {
            program,
            said: String::from_utf8_lossy(&ended.stderr).into_owned(),
        })
    }

    fn watched(&mut self, command: &mut Command) -> io::Result<Output> {
        let process = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        self.guard.watch(process.id(), "KILL")?;
        let output = process.wait_with_output()?;
        self.guard.rest()?;
        Ok(output)
    }

    /// A PostgreSQL program, run in the folder as the server's user.
    fn command(&self, program: &str) -> Command {
        // join keeps a full path; a name is one of the server's binaries
        let mut command = Command::new(self.binaries.join(program));
        command.current_dir(&self.folder);
        if let Some(user) = &self.user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command
    }

    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf, Error> {
        let path = self.folder.join(name);
        fs::write(&path, text).map_err(Error::io("write a file"))?;
        // PostgreSQL refuses a key that others can read
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))
            .map_err(Error::io("protect a file"))?;
        self.hand_over(&path)?;
        Ok(path)
    }

    fn hand_over(&self, path: &Path) -> Result<(), Error> {
        match &self.user {
            Some(user) => chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
                .map_err(Error::io("hand a file over to the server's user")),
            None => Ok(()),
        }
    }
}

impl Postgres {
    async fn wait_until_ready(&mut self) -> Result<(), Error> {
        let started = Instant::now();
        while self.superuser_client().await.is_err() {
            let ended = self
                .process
                .try_wait()
                .map_err(Error::io("wait for postgres"))?;
            if ended.is_some() || started.elapsed() > PATIENCE {
                return Err(Error::NotReady { log: self.log()? });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

/// The user for the server if this process is root: PostgreSQL refuses to run as root.
fn user() -> Result<Option<User>, Error> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    let named = |name| User::from_name(name).ok().flatten();
    named("postgres")
        .or_else(|| named("nobody"))
        .map(Some)
        .ok_or(Error::NoUser)
}

/// A port that was free a moment ago. If another program takes it first, the server's log says so.
///
/// It is below the range of outgoing connections (32768 on Linux, 49152 elsewhere). A busy test run has many of them, and one could
/// take the port.
fn free_port() -> Result<u16, Error> {
    let any = || 20_000 + u16::try_from(Uuid::new_v4().as_u128() % 12_000).unwrap_or_default();
    let mut last = None;
    for port in std::iter::repeat_with(any).take(100) {
        match std::net::TcpListener::bind(("127.0.0.1", port)) {
            Ok(_) => return Ok(port),
            Err(error) => last = Some(error),
        }
    }
    Err(Error::io("find a free port")(
        last.unwrap_or_else(|| io::ErrorKind::AddrInUse.into()),
    ))
}
