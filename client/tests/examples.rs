//! The example applications, started unchanged, beside the local world and its real rotations.
#![cfg(all(
    target_os = "linux",
    feature = "aws",
    feature = "listen",
    feature = "sqlx",
    feature = "tls"
))]
#![cfg(test)]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use local::{
    executable,
    lambda::{Function, FunctionSettings},
    world::{Options, REGION, World},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

async fn world() -> World {
    let function = executable::of_tests("--bin", "secret-rotation").unwrap();
    World::start(Options::new(function)).await.unwrap()
}

async fn rotate(world: &World, secret: &str) {
    let rotated = world.secrets_manager().rotate(secret).await.unwrap();
    assert!(rotated.succeeded, "{rotated:?}");
}

/// The environment of an application of this secret.
fn environment(world: &World, secret: &str) -> Vec<(String, String)> {
    [
        ("AWS_ENDPOINT_URL", world.endpoint()),
        ("AWS_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("SECRET_ID", secret),
        ("CA_FILE", world.ca_file().to_str().unwrap()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// The process of the axum example; it ends when this is dropped.
struct Shop {
    process: Child,
    address: String,
}

impl Shop {
    fn start(world: &World, secret: &str) -> Self {
        let mut process = Command::new(executable::of_tests("--example", "axum").unwrap())
            .env_clear()
            .envs(environment(world, secret))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = process.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listens on ").unwrap();
        Self {
            address: address.to_owned(),
            process,
        }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The body of an answer, which must be 200.
fn get(address: &str, path: &str) -> String {
    let mut server = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n");
    server.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    server.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{answer}");
    body.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_to_the_axum_example_fails_while_passwords_rotate() {
    let world = world().await;
    for (secret, role) in [
        (world.single_user(), world.role()),
        (world.alternating_users(), world.alternating_role()),
    ] {
        let shop = Shop::start(&world, secret);
        assert_eq!(get(&shop.address, "/user"), role);
        let before: Value = serde_json::from_str(&get(&shop.address, "/status")).unwrap();
        let (over, served) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let users: Vec<_> = (0..3)
            .map(|_| {
                let (address, role, over) = (shop.address.clone(), role.to_owned(), over.clone());
                let served: Arc<AtomicUsize> = Arc::clone(&served);
                thread::spawn(move || {
                    while !over.load(Ordering::SeqCst) {
                        assert!(get(&address, "/user").starts_with(&role));
                        served.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        for _ in 0..3 {
            let so_far = served.load(Ordering::SeqCst);
            rotate(&world, secret).await;
            while served.load(Ordering::SeqCst) < so_far + 30 {
                let failed = users.iter().any(thread::JoinHandle::is_finished);
                assert!(!failed, "a request failed: see above");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        over.store(true, Ordering::SeqCst);
        for user in users {
            user.join().unwrap();
        }
        // on a busy machine the notification may come later
        loop {
            let after = get(&shop.address, "/status");
            assert!(!after.contains("password"), "{after}");
            let after: Value = serde_json::from_str(&after).unwrap();
            if after["version"] != before["version"] {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// The process of the function: the only one that runs this file.
fn process_of(binary: &Path) -> Pid {
    let processes = fs::read_dir("/proc").unwrap();
    let mut found = processes.filter_map(|process| {
        let process = process.ok()?;
        let runs = fs::read_link(process.path().join("exe")).ok()?;
        let parent = fs::read_to_string(process.path().join("stat")).ok()?;
        let (_, fields) = parent.rsplit_once(") ")?;
        let parent: u32 = fields.split(' ').nth(1)?.parse().ok()?;
        let is_ours = runs == binary && parent == std::process::id();
        let pid = process.file_name().to_str()?.parse().ok()?;
        is_ours.then(|| Pid::from_raw(pid))
    });
    let process = found.next().unwrap();
    assert_eq!(found.next(), None);
    process
}

#[tokio::test]
async fn the_lambda_example_answers_its_first_request_after_a_freeze_that_outlasts_its_credentials()
{
    let world = world().await;
    let secret = world.single_user();
    let binary = executable::of_tests("--example", "lambda").unwrap();
    let function = Function::new(FunctionSettings {
        binary: binary.clone(),
        name: "shop".to_owned(),
        region: REGION.to_owned(),
        env: environment(&world, secret),
        timeout: Duration::from_secs(60),
        cold_starts: false,
        show_log: true,
        extensions: None,
        freezes: false,
    });
    let ask = async || function.invoke(json!({})).await.outcome.unwrap();
    let first = ask().await;
    assert_eq!(first["user"], world.role());
    assert_eq!(ask().await, first);

    let process = process_of(&binary);
    kill(process, Signal::SIGSTOP).unwrap();
    rotate(&world, secret).await;
    let end = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{}'",
        world.role()
    );
    world.postgres().execute(&end).await.unwrap();
    kill(process, Signal::SIGCONT).unwrap();

    let after = ask().await;
    assert_eq!(after["user"], first["user"]);
    assert_ne!(after["version"], first["version"]);
    assert_eq!(
        function.environments(),
        1,
        "it was thawed, and not started again"
    );
    assert_eq!(ask().await, after);
}
