//! What the tests of the commands share: a local world, and the command run in it.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    ffi::OsStr,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::LazyLock,
    time::Duration,
};

use jsonschema::Validator;
use local::{
    executable, postgres,
    secrets_manager::{Behavior, Fault, ServiceError, labels::Promotion},
    world::{Options, REGION, World},
};
use serde_json::{Value, json};
use snapbox::cmd::OutputAssert;
use tokio_postgres::Client;
use uuid::Uuid;

const ROTATECTL: &str = env!("CARGO_BIN_EXE_rotatectl");

/// Options for a world with this workspace's function.
pub(crate) fn options() -> Options {
    options_with(&[])
}

/// The same with these variables in the function's environment.
pub(crate) fn options_with(variables: &[(&str, &str)]) -> Options {
    let mut options = Options::new(executable::of_tests("--bin", "secret-rotation").unwrap());
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    options.function_env.extend(variables.iter().map(owned));
    options
}

/// The same where this becomes of AWSPENDING. All of it is legal: what rests on labels has to be true under each.
pub(crate) fn options_where(promotion: Promotion) -> Options {
    let mut options = options();
    options.promotion = promotion;
    options
}

pub(crate) async fn start(options: Options) -> World {
    World::start(options).await.unwrap()
}

/// A world with this workspace's function.
pub(crate) async fn world() -> World {
    start(options()).await
}

/// The same with an outside service whose API key rotates.
pub(crate) async fn world_with_key_service() -> World {
    start(options().with_key_service()).await
}

/// Has a command know this endpoint and no other setting of AWS's or of the terminal's, and rotatectl by its name.
pub(crate) fn within<'a>(command: &'a mut Command, endpoint: &str) -> &'a mut Command {
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    let mut path = vec![Path::new(ROTATECTL).parent().unwrap().to_owned()];
    path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    command
        .env("PATH", env::join_paths(path).unwrap())
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_REGION", REGION)
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", "any")
        .env("AWS_SECRET_ACCESS_KEY", "any")
        // no configuration of the person who runs the tests
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env_remove("CLICOLOR_FORCE")
        .env_remove("TLS_CA_FILE")
}

/// A world that `rotatectl local up` has started, on any free port.
pub(crate) struct Up {
    pub(crate) process: Child,
    /// The line that it printed.
    pub(crate) ready: Value,
}

impl Up {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let up = ["local", "up", "--port", "0"];
        let mut command = at("http://127.0.0.1:1", &[&up, arguments].concat());
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = process.stdout.as_mut().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let ready = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line:?}"));
        Self { process, ready }
    }

    pub(crate) fn endpoint(&self) -> &str {
        self.ready["endpoint"].as_str().unwrap()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// rotatectl with this endpoint.
pub(crate) fn at(endpoint: &str, arguments: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new(ROTATECTL);
    within(&mut command, endpoint).args(arguments);
    command
}

/// rotatectl in this world, whose certificates it trusts.
pub(crate) fn command(world: &World, arguments: &[impl AsRef<OsStr>]) -> Command {
    let mut command = at(world.endpoint(), arguments);
    command.env("TLS_CA_FILE", world.ca_file());
    command
}

/// Runs it to its end.
pub(crate) async fn run(command: Command) -> OutputAssert {
    run_and_type(command, "").await
}

/// Runs it to its end, and types this when it asks.
pub(crate) async fn run_and_type(mut command: Command, typed: &str) -> OutputAssert {
    let typed = typed.to_owned();
    // the world answers from this thread
    let output = tokio::task::spawn_blocking(move || {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = piped.stderr(Stdio::piped()).spawn()?;
        // it may end before it reads
        let _ = process.stdin.take().unwrap().write_all(typed.as_bytes());
        process.wait_with_output()
    });
    OutputAssert::new(output.await.unwrap().unwrap())
}

/// Runs rotatectl in this world.
pub(crate) async fn rotatectl(world: &World, arguments: &[impl AsRef<OsStr>]) -> OutputAssert {
    run(command(world, arguments)).await
}

/// Waits until something has happened, for a generous while.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    until_asked(what, async || condition()).await;
}

/// The same with a condition that needs a request.
pub(crate) async fn until_asked(what: &str, condition: impl AsyncFn() -> bool) {
    let happened = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let happened = tokio::time::timeout(Duration::from_secs(60), happened).await;
    assert!(happened.is_ok(), "{what}: not within a minute");
}

/// What a command wrote to stdout.
pub(crate) fn stdout_of(ran: &OutputAssert) -> String {
    String::from_utf8(ran.get_output().stdout.clone()).unwrap()
}

/// What `--json` prints is what docs/rotatectl.schema.json says.
static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let text = include_str!("../../../docs/rotatectl.schema.json");
    jsonschema::validator_for(&serde_json::from_str(text).unwrap()).unwrap()
});

/// What a command wrote to stdout, as JSON that the schema allows.
pub(crate) fn json_of(ran: &OutputAssert) -> Value {
    let json = serde_json::from_slice(&ran.get_output().stdout).unwrap();
    assert_of_schema(&json);
    json
}

/// Fails where the schema does not allow what was printed.
#[track_caller]
pub(crate) fn assert_of_schema(json: &Value) {
    if let Err(error) = SCHEMA.validate(json) {
        panic!("{error}: {json}");
    }
}

/// Calls an operation of Secrets Manager, which has to succeed.
pub(crate) async fn call(world: &World, operation: &str, input: Value) -> Value {
    let answer = world.secrets_manager().call(operation, input).await;
    answer.unwrap()
}

/// How often an operation was called.
pub(crate) fn called(world: &World, operation: &str) -> usize {
    let calls = world.secrets_manager().calls();
    let of_it = calls.iter().filter(|call| call.operation == operation);
    of_it.count()
}

/// Has the next call of an operation fail.
pub(crate) fn inject_error(world: &World, operation: &str, code: &str, message: &str) {
    let error = ServiceError {
        status: 400,
        code: code.to_owned(),
        message: message.to_owned(),
    };
    let fault = Fault::on(operation, Behavior::Error(error));
    world.secrets_manager().inject(fault);
}

/// Rotates a secret, to its end.
pub(crate) async fn rotated(world: &World, secret: &str) {
    let rotation = world.secrets_manager().rotate(secret).await.unwrap();
    assert!(rotation.succeeded, "{rotation:?}");
}

/// Begins a rotation as RotateSecret does, runs so many of its steps, and leaves it there. Returns its token.
pub(crate) async fn leave_over(world: &World, secret: &str, steps: usize) -> String {
    let (service, token) = (world.secrets_manager(), Uuid::new_v4().to_string());
    service.stage(secret, &token).unwrap();
    let arn = service.arn(secret);
    for step in &["createSecret", "setSecret", "testSecret"][..steps] {
        let event = json!({ "Step": step, "SecretId": arn, "ClientRequestToken": token });
        world.function().invoke(event).await.outcome.unwrap();
    }
    token
}

/// Puts a tag on a secret.
pub(crate) async fn tag(world: &World, secret: &str, key: &str, value: &str) {
    let tags = json!({ "SecretId": secret, "Tags": [{ "Key": key, "Value": value }] });
    call(world, "TagResource", tags).await;
}

/// Stores a version by hand, which becomes AWSCURRENT.
pub(crate) async fn put(world: &World, secret: &str, document: &Value) {
    let input = json!({ "SecretId": secret, "SecretString": document.to_string() });
    call(world, "PutSecretValue", input).await;
}

/// Labels by version.
pub(crate) async fn labels(world: &World, secret: &str) -> BTreeMap<String, Vec<String>> {
    let described = call(world, "DescribeSecret", json!({ "SecretId": secret })).await;
    serde_json::from_value(described["VersionIdsToStages"].clone()).unwrap()
}

/// The version that has this label and no other.
pub(crate) async fn version(world: &World, secret: &str, label: &str) -> String {
    let mut labels = labels(world, secret).await.into_iter();
    labels.find(|(_, labels)| *labels == [label]).unwrap().0
}

/// The version that a client reads.
pub(crate) async fn current(world: &World, secret: &str) -> String {
    let value = call(world, "GetSecretValue", json!({ "SecretId": secret })).await;
    value["VersionId"].as_str().unwrap().to_owned()
}

/// The document of the version with this label, if there is one.
pub(crate) async fn stored(world: &World, secret: &str, label: &str) -> Option<Value> {
    let input = json!({ "SecretId": secret, "VersionStage": label });
    let value = world.secrets_manager().call("GetSecretValue", input).await;
    let value = value.ok()?;
    Some(serde_json::from_str(value["SecretString"].as_str().unwrap()).unwrap())
}

/// The document of the version with this label.
pub(crate) async fn document(world: &World, secret: &str, label: &str) -> Value {
    stored(world, secret, label).await.unwrap()
}

/// The password of the version with this label.
pub(crate) async fn password(world: &World, secret: &str, label: &str) -> String {
    let document = document(world, secret, label).await;
    document["password"].as_str().unwrap().to_owned()
}

/// The passwords of all versions that have a label.
pub(crate) async fn passwords(world: &World, secret: &str) -> BTreeSet<String> {
    let mut passwords = BTreeSet::new();
    for label in ["AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"] {
        let document = stored(world, secret, label).await.unwrap_or_default();
        passwords.extend(document["password"].as_str().map(str::to_owned));
    }
    passwords
}

/// What the server says to the credential of a document.
pub(crate) async fn log_in(world: &World, document: &Value) -> Result<Client, postgres::Error> {
    let text = |key: &str| document[key].as_str().unwrap();
    let (user, password, dbname) = (text("username"), text("password"), text("dbname"));
    world.postgres().connect(user, password, dbname).await
}

/// The administrator's role.
pub(crate) fn administrator(world: &World) -> String {
    format!("admin_of_{}", world.role())
}

/// Runs SQL as the superuser.
pub(crate) async fn execute(world: &World, sql: &str) {
    world.postgres().execute(sql).await.unwrap();
}

/// Makes rotations of the single user's secret fail, until someone stores the right password again.
pub(crate) async fn change_password_by_hand(world: &World) {
    let sql = format!("ALTER ROLE {} PASSWORD 'by hand'", world.role());
    execute(world, &sql).await;
}
