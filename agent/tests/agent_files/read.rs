//! Real readers read the files: psql, PgBouncer, a shell, Python.
//!
//! The agent's own code writes hostile passwords, and the real program reads them. Either it reads the value of the secret, or the
//! format has refused it.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::{Mutex, mpsc},
};

use local::postgres::Postgres;
use nix::unistd::{User, geteuid};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use rotating_secret_agent::settings::files::Format;
use serde_json::{Value, json};

use super::{
    asking::{Asking, psql},
    common::{
        create,
        folder::{Place, document},
        skipped,
        tools::tool,
        until,
    },
    formats::written,
};

fn save(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Texts with characters that confuse readers. Some are long.
fn hostile() -> impl Strategy<Value = String> {
    let special = prop::sample::select(
        " \t\r\n\u{b}\\\\\\''\"\":$`#*=;![](){}%&|<>~,@/+-_àé\u{85}\u{a0}\u{2028}\u{0}"
            .chars()
            .collect::<Vec<_>>(),
    );
    let letter = prop_oneof![4 => special, 4 => "[a-zA-Z0-9]".prop_map(|text| text.chars().next().unwrap()), 1 => any::<char>()];
    let short =
        prop::collection::vec(letter, 1..12).prop_map(|letters| letters.into_iter().collect());
    let long = (990..1040_usize).prop_map(|length| "p".repeat(length));
    let like_a_hash = Just(format!("md5{}", "0a".repeat(16)));
    prop_oneof![20 => short, 1 => long, 1 => like_a_hash]
}

fn is_there(program: &str) -> bool {
    let is_there = Command::new(tool(program))
        .arg("--version")
        .output()
        .is_ok();
    if !is_there {
        skipped(&format!(
            "{program} reads what is written: it is not installed"
        ));
    }
    is_there
}

/// Checks this many logins. At least a third of them must be written.
fn logins(cases: usize, check: impl Fn(&str, &str) -> bool) {
    let mut runner = TestRunner::deterministic();
    let (logins, mut accepted) = ((hostile(), hostile()), 0);
    for _ in 0..cases {
        let (user, password) = logins.new_tree(&mut runner).unwrap().current();
        accepted += usize::from(check(&user, &password));
    }
    assert!(accepted * 3 > cases, "{accepted} of {cases} were written");
}

#[test]
fn psql_reads_of_a_service_file_the_user_and_the_password_of_the_secret_or_it_was_refused() {
    if !is_there("psql") {
        return;
    }
    let (server, folder) = (Asking::start(), tempfile::tempdir().unwrap());
    let path = folder.path().join("pg_service.conf");
    let format = || Format::PgService {
        service: "default".to_owned(),
        parameters: Default::default(),
    };
    logins(300, |user, password| {
        let document = json!({ "host": "127.0.0.1", "port": server.port, "username": user, "password": password, "ssl": false });
        let Ok(bytes) = written(format(), &document) else {
            return false;
        };
        save(&path, &bytes);
        let said = psql(
            &[
                ("PGSERVICEFILE", path.to_str().unwrap()),
                ("PGSERVICE", "default"),
            ],
            &[],
        );
        assert_eq!(
            server.take(),
            [(user.to_owned(), password.to_owned())],
            "{said:?}"
        );
        true
    });
    // the longest line is accepted, and one more byte is refused
    let of_length = |length: usize| json!({ "host": "127.0.0.1", "port": server.port, "username": "u", "password": "p".repeat(length), "ssl": false });
    let longest = 1021 - "password=".len();
    save(&path, &written(format(), &of_length(longest)).unwrap());
    psql(
        &[
            ("PGSERVICEFILE", path.to_str().unwrap()),
            ("PGSERVICE", "default"),
        ],
        &[],
    );
    assert_eq!(server.take()[0].1.len(), longest);
    let refused = written(format(), &of_length(longest + 1)).unwrap_err();
    assert!(
        refused.contains("file cannot be written as pg_service: password is too long"),
        "{refused}"
    );
}

#[test]
fn psql_reads_of_a_pgpass_the_password_of_the_secret_or_it_was_refused() {
    if !is_there("psql") {
        return;
    }
    let (server, folder) = (Asking::start(), tempfile::tempdir().unwrap());
    let path = folder.path().join("pgpass");
    logins(300, |user, password| {
        let document = json!({ "host": "127.0.0.1", "port": server.port, "username": user, "password": password });
        let Ok(bytes) = written(Format::Pgpass, &document) else {
            return false;
        };
        save(&path, &bytes);
        let port = server.port.to_string();
        let variables = [
            ("PGPASSFILE", path.to_str().unwrap()),
            ("PGUSER", user),
            ("PGHOST", "127.0.0.1"),
            ("PGPORT", &port),
            ("PGDATABASE", "any"),
            ("PGSSLMODE", "disable"),
        ];
        let said = psql(&variables, &[]);
        assert_eq!(
            server.take(),
            [(user.to_owned(), password.to_owned())],
            "{said:?}"
        );
        true
    });
}

#[test]
fn a_shell_python_and_rust_read_of_an_env_file_the_same_value_or_it_was_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (file, script) = (folder.path().join(".env"), folder.path().join("read"));
    let (all, values) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    logins(1000, |_, value| {
        let name = format!("VALUE_{}", values.lock().unwrap().len());
        let format = Format::Env {
            values: [(name, "value".to_owned())].into(),
        };
        let Ok(bytes) = written(format, &json!({ "value": value })) else {
            return false;
        };
        all.lock().unwrap().extend_from_slice(&bytes);
        values.lock().unwrap().push(value.to_owned());
        true
    });
    let (all, values) = (all.into_inner().unwrap(), values.into_inner().unwrap());
    fs::write(&file, &all).unwrap();
    let told = |output: Output| {
        let said = String::from_utf8(output.stdout).unwrap();
        let said: Vec<String> = said.split_terminator('\0').map(str::to_owned).collect();
        assert!(
            said == values,
            "{:?} {}",
            said.iter().zip(&values).find(|(said, value)| said != value),
            String::from_utf8_lossy(&output.stderr)
        );
    };
    let prints: Vec<String> = (0..values.len())
        .map(|number| format!("printf '%s\\0' \"$VALUE_{number}\"\n"))
        .collect();
    fs::write(
        &script,
        format!(". {}\n{}", file.display(), prints.concat()),
    )
    .unwrap();
    told(Command::new("sh").arg(&script).output().unwrap());
    if is_there("bash") {
        told(Command::new("bash").arg(&script).output().unwrap());
    }
    let read: Vec<(String, String)> = dotenvy::from_path_iter(&file)
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert!(
        read.iter().map(|(_, value)| value).eq(&values),
        "{:?}",
        read.iter()
            .zip(&values)
            .find(|((_, read), value)| read != *value)
    );
    if Command::new(tool("python3"))
        .args(["-c", "import dotenv"])
        .output()
        .is_ok_and(|output| output.status.success())
    {
        let text = "import dotenv, sys\nfor value in dotenv.dotenv_values(sys.argv[1]).values(): sys.stdout.buffer.write(value.encode() + b'\\0')";
        told(
            Command::new(tool("python3"))
                .args(["-c", text])
                .arg(&file)
                .output()
                .unwrap(),
        );
    } else {
        skipped("python3 reads a .env: it has no dotenv; make test installs it");
    }
}

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn pgbouncer_logs_in_with_the_password_of_the_secret_or_it_was_refused() {
    if !is_there("pgbouncer") || !is_there("psql") {
        return;
    }
    let (server, folder) = (Asking::start(), tempfile::tempdir().unwrap());
    let (list, settings) = (
        folder.path().join("userlist.txt"),
        folder.path().join("pgbouncer.ini"),
    );
    let (all, passwords) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    logins(100, |_, password| {
        let user = format!("user \"{}", passwords.lock().unwrap().len());
        let Ok(bytes) = written(
            Format::Userlist,
            &json!({ "username": user, "password": password }),
        ) else {
            return false;
        };
        all.lock().unwrap().extend_from_slice(&bytes);
        passwords.lock().unwrap().push((user, password.to_owned()));
        true
    });
    fs::write(&list, &*all.lock().unwrap()).unwrap();
    let text = format!(
        "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nunix_socket_dir = {}\nauth_type = trust\n\
         auth_file = {}\nserver_login_retry = 0.1\nserver_tls_sslmode = disable\n",
        server.port,
        folder.path().display(),
        list.display()
    );
    fs::write(&settings, text).unwrap();
    let mut command = Command::new(tool("pgbouncer"));
    command
        .arg(&settings)
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    if geteuid().is_root() {
        // PgBouncer refuses to run as root
        let nobody = User::from_name("nobody").unwrap().unwrap();
        for path in [folder.path(), &list, &settings] {
            std::os::unix::fs::chown(path, Some(nobody.uid.as_raw()), Some(nobody.gid.as_raw()))
                .unwrap();
        }
        command.uid(nobody.uid.as_raw()).gid(nobody.gid.as_raw());
    }
    let mut bouncer = Ended(command.spawn().unwrap());
    let (tell, up) = mpsc::channel();
    let log = bouncer.0.stderr.take().unwrap();
    std::thread::spawn(move || {
        for line in std::io::BufRead::lines(std::io::BufReader::new(log)).map_while(Result::ok) {
            if line.contains("process up") {
                let _ = tell.send(());
            }
        }
    });
    up.recv().unwrap();
    for (user, password) in passwords.into_inner().unwrap() {
        let socket = folder.path().display().to_string();
        let variables = [
            ("PGUSER", &*user),
            ("PGHOST", &*socket),
            ("PGPORT", "6432"),
            ("PGDATABASE", "any"),
            ("PGSSLMODE", "disable"),
        ];
        let said = psql(&variables, &[]);
        assert_eq!(
            server.take().first(),
            Some(&(user.clone(), password)),
            "{said:?}"
        );
    }
}

#[tokio::test]
async fn psql_logs_in_to_postgresql_with_each_of_libpqs_files() {
    if !is_there("psql") {
        return;
    }
    let postgres = Postgres::shared().await.unwrap();
    let (user, password) = ("files of \"libpq", " p:a\\s's\"w#o=rd");
    let literal = password.replace('\'', "''");
    postgres
        .execute(&format!(
            "CREATE ROLE \"files of \"\"libpq\" LOGIN PASSWORD '{literal}'"
        ))
        .await
        .unwrap();
    let place = Place::new().await;
    let mut login: Value = serde_json::from_str(&document(user, password)).unwrap();
    login["host"] = postgres.host().into();
    login["port"] = postgres.port().into();
    login["dbname"] = "postgres".into();
    create(&place.service, "orders/db", &login.to_string()).await;
    let ca = postgres.ca_file().display().to_string();
    let lines = format!(
        "[[files.write]]\nparameters = {{ sslrootcert = \"{ca}\" }}\n[[files.write]]\nformat = \"pgpass\"\n[[files.write]]\nformat = \"env\""
    );
    // a password with both kinds of quotes fits no .env
    let agent = place.agent(&lines);
    until(async || {
        agent
            .log()
            .contains(".env cannot be written as env: PGPASSWORD has '")
            .then_some(())
    })
    .await;
    drop(agent);
    let _agent = place.agent(
        lines
            .split("[[files.write]]\nformat = \"env\"")
            .next()
            .unwrap(),
    );
    place.holds("pgpass", "localhost").await;
    let path = |name: &str| place.file(name).display().to_string();
    let port = postgres.port().to_string();
    let said = |output: Output| {
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    };
    let service = psql(
        &[("PGSERVICEFILE", &path("pg_service.conf"))],
        &["service=default"],
    );
    assert_eq!(said(service), format!("{user}\n"));
    let variables = [
        ("PGPASSFILE", &*path("pgpass")),
        ("PGUSER", user),
        ("PGHOST", postgres.host()),
        ("PGPORT", &port),
        ("PGDATABASE", "postgres"),
        ("PGSSLMODE", "verify-full"),
        ("PGSSLROOTCERT", &ca),
    ];
    assert_eq!(said(psql(&variables, &[])), format!("{user}\n"));
}
