//! The agent as an extension of Lambda, beside a function in the local Lambda host.

#![cfg(test)]

mod common;

use std::{
    fs,
    os::unix::fs::symlink,
    path::PathBuf,
    process::{Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use common::{
    TOKEN, command, create, exchange, folder::script, put, secrets_manager, skipped, token,
    tools::tool, until,
};
use local::{
    lambda::{Function, FunctionSettings},
    secrets_manager::{Behavior, Fault, Hang, SecretsManager, When},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// A function that reads what its event names.
const BOOTSTRAP: &str = r#"
import json, os, time, urllib.error, urllib.request

api = 'http://%s/2018-06-01/runtime/invocation/' % os.environ['AWS_LAMBDA_RUNTIME_API']
agent = 'http://localhost:' + os.environ['PARAMETERS_SECRETS_EXTENSION_HTTP_PORT']
token = os.environ[os.environ.get('TOKEN_IS_IN', 'AWS_SESSION_TOKEN')]

def wire(path):
    request = urllib.request.Request(agent + path, headers={'X-Aws-Parameters-Secrets-Token': token})
    try:
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)['SecretString']
    except urllib.error.HTTPError as refused:
        return '%d %s' % (refused.code, refused.read().decode())

def sdk(secret):
    import boto3
    return boto3.client('secretsmanager').get_secret_value(SecretId=secret)['SecretString']

def wait(path):
    while not os.path.exists(path):
        time.sleep(0.01)

first = wire(os.environ['READ_AT_INIT']) if 'READ_AT_INIT' in os.environ else None
while True:
    with urllib.request.urlopen(api + 'next') as event:
        request, event = event.headers['Lambda-Runtime-Aws-Request-Id'], json.load(event)
    answer = first if event['do'] == 'init' else {'wire': wire, 'sdk': sdk, 'wait': wait}[event['do']](event['read'])
    urllib.request.urlopen(api + request + '/response', json.dumps(answer).encode())
"#;

const GET: &str = "/secretsmanager/get?secretId=orders/db";

/// A Secrets Manager, and a function with the extension.
struct World {
    service: SecretsManager,
    folder: TempDir,
    port: u16,
    /// It holds the port until the extension binds it too, and does not listen.
    _held: TcpSocket,
    settings: FunctionSettings,
}

impl World {
    async fn new() -> Self {
        let (service, endpoint) = secrets_manager().await;
        create(&service, "orders/db", "one").await;
        let held = TcpSocket::new_v4().unwrap();
        held.set_reuseaddr(true).unwrap();
        held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = held.local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let path = |name| folder.path().join(name);
        fs::write(path("own.toml"), format!("endpoint = \"{endpoint}\"\n")).unwrap();
        fs::write(path("function.py"), BOOTSTRAP).unwrap();
        let python = tool("python3").display().to_string();
        let start = format!("exec {python} {}", path("function.py").display());
        script(&path("bootstrap"), &start);
        fs::create_dir(path("extensions")).unwrap();
        let mut world = Self {
            settings: FunctionSettings {
                binary: path("bootstrap"),
                name: "orders".to_owned(),
                region: "us-east-1".to_owned(),
                env: Vec::new(),
                timeout: Duration::from_secs(60),
                cold_starts: false,
                show_log: false,
                extensions: Some(path("extensions")),
                freezes: true,
            },
            service,
            port,
            _held: held,
            folder,
        };
        let agent = PathBuf::from(env!("CARGO_BIN_EXE_rotating-secret-agent"));
        symlink(agent, world.path("extensions/rotating-secret-agent")).unwrap();
        let own = world.path("own.toml").display().to_string();
        world.set("ROTATING_SECRET_AGENT_SETTINGS", &own);
        world.set("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", &port.to_string());
        world.set("SECRETS_MANAGER_TTL", "1");
        world.set("AWS_SESSION_TOKEN", TOKEN);
        // the extension inherits it, and must not ask itself
        let itself = format!("http://127.0.0.1:{port}");
        world.set("AWS_ENDPOINT_URL_SECRETS_MANAGER", &itself);
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Sets a variable of the function and its extension.
    fn set(&mut self, name: &str, value: &str) {
        self.settings.env.push((name.to_owned(), value.to_owned()));
    }

    /// Adds lines to our own settings.
    fn append(&self, lines: &str) {
        let file = self.path("own.toml");
        let text = fs::read_to_string(&file).unwrap() + lines;
        fs::write(file, text).unwrap();
    }

    fn function(&self) -> Function {
        Function::new(self.settings.clone())
    }

    /// Replaces the extension's file by a script with this name, which ends with the agent.
    fn wrap(&self, name: &str, lines: &str) {
        fs::remove_file(self.path("extensions/rotating-secret-agent")).unwrap();
        let agent = env!("CARGO_BIN_EXE_rotating-secret-agent");
        let wrapper = self.path("extensions").join(name);
        script(&wrapper, &format!("{lines}\nexec {agent}"));
    }

    fn asked(&self) -> usize {
        self.service.calls().len()
    }

    /// Prefetches this secret, by AWS's configuration file.
    fn prefetch(&mut self, secret: &str) {
        let config = self.path("awss.toml");
        let table = "capabilities.secrets_manager.prefetch";
        let text = format!("[{table}]\nsecrets = [{{ secret_id = \"{secret}\" }}]");
        fs::write(&config, text).unwrap();
        self.set(
            "ROTATING_SECRET_AGENT_CONFIG",
            &config.display().to_string(),
        );
    }

    /// Whether the extension has read this secret.
    fn has_read(&self, secret: &str) -> bool {
        let mut calls = self.service.calls().into_iter();
        calls.any(|call| call.secret.as_deref() == Some(secret))
    }

    /// How the start of the extension fails.
    async fn fails(&self) -> (String, String) {
        let event = json!({ "do": "wire", "read": GET });
        let error = self.function().invoke(event).await.outcome.unwrap_err();
        (error.error_type, error.error_message)
    }
}

async fn ask(function: &Function, what: &str, read: &str) -> String {
    let event = json!({ "do": what, "read": read });
    let invoked = function.invoke(event).await;
    let answer = invoked
        .outcome
        .unwrap_or_else(|error| panic!("{error} {:?}", invoked.log));
    answer.as_str().unwrap_or_default().to_owned()
}

fn log(function: &Function) -> String {
    let lines = function.log().into_iter().map(|line| line.text + "\n");
    lines.collect()
}

/// Waits until this time has passed.
async fn passed(time: Duration) {
    let began = Instant::now();
    until(async || (began.elapsed() > time).then_some(())).await;
}

#[tokio::test]
async fn a_function_reads_through_a_rotation_and_the_first_answer_after_a_freeze_is_the_new_version()
 {
    let world = World::new().await;
    let function = world.function();
    assert_eq!(ask(&function, "wire", GET).await, "one");
    for text in ["two", "three", "four"] {
        // the host has frozen both processes
        put(&world.service, "orders/db", text).await;
        passed(Duration::from_millis(1500)).await;
        assert_eq!(ask(&function, "wire", GET).await, text);
    }
    assert_eq!(function.environments(), 1);
    let log = log(&function);
    assert!(!log.contains(TOKEN) && !log.contains("WARN"), "{log}");
}

#[tokio::test]
async fn a_freeze_in_the_middle_of_a_renewal_does_not_make_the_first_answer_an_old_one() {
    let world = World::new().await;
    let function = world.function();
    assert_eq!(ask(&function, "wire", GET).await, "one");
    let hang = Hang::default();
    let fault = Behavior::Hang(When::BeforeEffect, hang.clone());
    world
        .service
        .inject(Fault::on("GetSecretValue", fault).times(1));
    // the invocation ends while the renewal waits for its answer
    let file = world.path("renewal-has-begun");
    let waits = async { ask(&function, "wait", file.to_str().unwrap()).await };
    tokio::join!(waits, async {
        hang.reached().await;
        fs::write(&file, "").unwrap();
    });
    put(&world.service, "orders/db", "two").await;
    // longer than a call may take
    passed(Duration::from_millis(2500)).await;
    assert_eq!(ask(&function, "wire", GET).await, "two");
}

#[tokio::test]
async fn boto3_with_its_session_token_is_served_from_the_extensions_cache() {
    let world = World::new().await;
    let python = tool("python3");
    let found = std::process::Command::new(&python)
        .args(["-c", "import boto3"])
        .output();
    if !found.is_ok_and(|found| found.status.success()) {
        skipped("boto3 in a function: python3 has none; make test installs it");
        return;
    }
    let function = world.function();
    assert_eq!(ask(&function, "sdk", "orders/db").await, "one");
    assert_eq!(ask(&function, "wire", GET).await, "one");
    put(&world.service, "orders/db", "two").await;
    passed(Duration::from_millis(1500)).await;
    assert_eq!(ask(&function, "sdk", "orders/db").await, "two");
}

#[tokio::test]
async fn the_functions_first_line_reads_a_secret_already() {
    let mut world = World::new().await;
    world.set("READ_AT_INIT", GET);
    assert_eq!(ask(&world.function(), "init", "").await, "one");
}

#[tokio::test]
async fn the_extension_makes_no_call_before_the_first_invocation_and_prefetches_then() {
    let mut world = World::new().await;
    create(&world.service, "mail/key", "two").await;
    let before = world.asked();
    world.prefetch("mail/key");
    // the function asks for its first event, and gets none
    assert!(world.function().start_up().await.is_some());
    assert_eq!(world.asked(), before);
    let function = world.function();
    assert_eq!(ask(&function, "init", "").await, "");
    until(async || {
        // a frozen extension does not go on
        ask(&function, "init", "").await;
        world.has_read("mail/key").then_some(())
    })
    .await;
}

#[tokio::test]
async fn on_managed_instances_which_refuse_a_registration_for_invocations_the_extension_serves() {
    let mut world = World::new().await;
    world.settings.freezes = false;
    create(&world.service, "mail/key", "two").await;
    world.prefetch("mail/key");
    world.set("AWS_LAMBDA_INITIALIZATION_TYPE", "lambda-managed-instances");
    let function = world.function();
    assert_eq!(ask(&function, "wire", GET).await, "one");
    until(async || world.has_read("mail/key").then_some(())).await;
    assert_eq!(function.shut_down().await, Vec::<String>::new());
}

#[tokio::test]
async fn under_snapstart_the_token_and_the_credentials_are_the_containers() {
    let mut world = World::new().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counts = asked.clone();
    let credentials = move |headers: HeaderMap| async move {
        counts.fetch_add(1, Ordering::SeqCst);
        assert_eq!(headers["authorization"], "the-containers-token");
        Json(json!({
            "AccessKeyId": "AKIASNAPSTART", "SecretAccessKey": "any", "Token": "any", "Expiration": "2100-01-01T00:00:00Z",
        }))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/credentials", get(credentials));
    tokio::spawn(axum::serve(listener, router).into_future());
    world.set(
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        &format!("http://{address}/credentials"),
    );
    world.set("AWS_CONTAINER_AUTHORIZATION_TOKEN", "the-containers-token");
    world.set("TOKEN_IS_IN", "AWS_CONTAINER_AUTHORIZATION_TOKEN");
    let absent = "unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN";
    world.wrap("rotating-secret-agent", absent);
    // where Lambda takes the snapshot
    assert!(world.function().start_up().await.is_some());
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    assert_eq!(ask(&world.function(), "wire", GET).await, "one");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_extension_ends_when_lambda_shuts_down() {
    let world = World::new().await;
    let function = world.function();
    assert_eq!(ask(&function, "wire", GET).await, "one");
    assert_eq!(function.shut_down().await, Vec::<String>::new());
    assert!(TcpStream::connect(("127.0.0.1", world.port)).await.is_err());
}

#[tokio::test]
async fn a_request_that_hangs_does_not_keep_the_extension_beyond_its_time() {
    let mut world = World::new().await;
    world.settings.freezes = false;
    let function = world.function();
    assert_eq!(ask(&function, "wire", GET).await, "one");
    create(&world.service, "mail/key", "two").await;
    let hang = Hang::default();
    let fault = Fault::on(
        "GetSecretValue",
        Behavior::Hang(When::BeforeEffect, hang.clone()),
    );
    world.service.inject(fault.times(100));
    let mut stream = TcpStream::connect(("127.0.0.1", world.port)).await.unwrap();
    let request = format!(
        "GET /v1/mail/key HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
        token()
    );
    let hanging = tokio::spawn(async move { exchange(&mut stream, &request).await.is_none() });
    hang.reached().await;
    assert_eq!(function.shut_down().await, Vec::<String>::new());
    assert!(hanging.await.unwrap());
    let log = log(&function);
    assert!(log.contains("open requests were cut"), "{log}");
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_reported_to_lambda_with_what_to_do() {
    let mut all = Vec::new();
    for (name, value) in [
        ("SECRETS_MANAGER_TTL", "5m"),
        ("PARAMETERS_SECRETS_EXTENSION_CACHE_ENABLED", "perhaps"),
        ("AWS_SESSION_TOKEN", "short"),
        ("ROTATING_SECRET_AGENT_CONFIG", "/nowhere/awss.toml"),
    ] {
        let mut world = World::new().await;
        world.set(name, value);
        all.push((
            world,
            name.replace("ROTATING_SECRET_AGENT_CONFIG", "/nowhere/awss.toml"),
        ));
    }
    let world = World::new().await;
    world.append("[[files]]\nsecret = \"orders/db\"\ndirectory = \"/tmp/orders\"\n");
    all.push((world, "[[files]]".to_owned()));
    let mut world = World::new().await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    world.set("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", &port);
    all.push((world, format!("port {port}")));
    for (world, part) in all {
        let (kind, told) = world.fails().await;
        assert_eq!(kind, "Extension.InitError", "{told}");
        let begins = "rotating-secret-agent: Extension.ConfigInvalid: ";
        assert!(told.starts_with(begins) && told.contains(&part), "{told}");
        assert_eq!(world.asked(), 0);
    }
}

#[tokio::test]
async fn a_refused_registration_ends_the_extension_with_what_to_do() {
    let world = World::new().await;
    // Lambda knows it by another name than the one it registers with
    world.wrap("another-name", "");
    let function = world.function();
    let invoked = function.invoke(json!({})).await;
    let error = invoked.outcome.unwrap_err();
    assert_eq!(error.error_type, "Extension.Crash", "{error}");
    let log = log(&function);
    assert!(
        log.contains("403 Forbidden") && log.contains("/opt/extensions"),
        "{log}"
    );
}

#[tokio::test]
async fn parameters_get_a_text_that_says_where_to_read_them() {
    let world = World::new().await;
    let function = world.function();
    for path in ["", "/"] {
        let path = format!("/systemsmanager/parameters/get{path}?name=/orders/size");
        let told = ask(&function, "wire", &path).await;
        assert!(
            told.starts_with("404 ") && told.contains("GetParameter"),
            "{told}"
        );
    }
}

/// The output of an extension whose API answers `next` with this, and the errors that it reports.
async fn without_a_next_event(status: StatusCode, text: &'static str) -> (Output, Vec<String>) {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let register = || async { ([("lambda-extension-identifier", "any")], Json(json!({}))) };
    let exit = move |headers: HeaderMap, Json(body): Json<Value>| async move {
        let kind = headers["lambda-extension-function-error-type"]
            .to_str()
            .unwrap();
        let text = format!("{kind} {}", body["errorMessage"].as_str().unwrap());
        tell.send(text).unwrap();
        StatusCode::ACCEPTED
    };
    let next = move || async move { (status, text) };
    let router = Router::new()
        .route("/2020-01-01/extension/register", post(register))
        .route("/2020-01-01/extension/event/next", get(next))
        .route("/2020-01-01/extension/exit/error", post(exit));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = tokio::spawn(axum::serve(listener, router).into_future());
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("awss.toml");
    fs::write(&config, "http_port = 0\n").unwrap();
    let mut command = command();
    command
        .env("AWS_LAMBDA_RUNTIME_API", address)
        .env("ROTATING_SECRET_AGENT_CONFIG", &config)
        .env("AWS_SESSION_TOKEN", TOKEN)
        .stderr(Stdio::piped());
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.unwrap().unwrap();
    serving.abort();
    let mut errors = Vec::new();
    while let Ok(error) = told.try_recv() {
        errors.push(error);
    }
    (output, errors)
}

#[tokio::test]
async fn an_extension_without_a_next_event_reports_it_and_ends() {
    for (status, text, part) in [
        (StatusCode::INTERNAL_SERVER_ERROR, "container error", "500"),
        (StatusCode::OK, "<html>", "neither INVOKE nor SHUTDOWN"),
    ] {
        let (output, errors) = without_a_next_event(status, text).await;
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(errors.len(), 1, "{errors:?}");
        let told = &errors[0];
        assert!(
            told.starts_with("Extension.NoEvent ") && told.contains(part),
            "{told}"
        );
    }
}

#[tokio::test]
async fn an_agent_that_is_started_with_a_command_is_no_extension() {
    let (service, endpoint) = secrets_manager().await;
    create(&service, "orders/db", "one").await;
    let agent = common::Agent::start_with(&endpoint, "", "", |command| {
        command.env("AWS_TOKEN", TOKEN);
        // nothing answers there
        command.env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1");
    });
    assert_eq!(agent.read("orders/db").await.value(), "one");
}
