//! What the end-to-end tests share: a local world with the real function, and questions to ask of it.

#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod proxy;
pub(crate) mod relay;
pub(crate) mod wire;

use std::{collections::BTreeMap, time::Duration};

use drill::application::{Cache, Connections, Workload};
use local::{
    invocation::{FunctionError, Invoked},
    postgres::{self, Postgres},
    secrets_manager::{Behavior, Fault, Rotation, SecretsManager, ServiceError, labels::Promotion},
    world::{Options, World},
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::{
    net::TcpSocket,
    time::{sleep, timeout},
};
use tokio_postgres::{Client, types::FromSqlOwned};

/// A token for rotations that are stepped through by hand.
pub(crate) const TOKEN: &str = "11111111-2222-4333-8444-555555555555";

/// The four steps in the order in which the service sends them.
pub(crate) const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];

/// Options for a world around the function that cargo has just built.
///
/// Each step runs in a new process, so a step that needs another step's memory fails.
pub(crate) fn options() -> Options {
    options_with(&[])
}

/// The same with these variables in the function's environment.
pub(crate) fn options_with(variables: &[(&str, &str)]) -> Options {
    let mut options = Options::new(env!("CARGO_BIN_EXE_secret-rotation"));
    options.cold_starts = true;
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    options.function_env.extend(variables.iter().map(owned));
    options
}

/// Options with a server that can prepare transactions.
pub(crate) fn with_prepared_transactions() -> Options {
    let settings = postgres::Settings {
        conf: "max_prepared_transactions = 2".to_owned(),
        ..postgres::Settings::default()
    };
    options().own_postgres(settings)
}

/// A new world, on the PostgreSQL that the tests of one file share.
pub(crate) async fn world() -> World {
    start(options()).await
}

/// The same, with one process for all steps, as Lambda mostly has it: for tests that count calls, or need the process's memory.
pub(crate) async fn warm_world() -> World {
    start(warm(options())).await
}

/// These options, with one process for all steps.
pub(crate) fn warm(options: Options) -> Options {
    let mut options = options;
    options.cold_starts = false;
    options
}

/// A world in which promotion does this to AWSPENDING. Every variant is legal, so every rule about labels must hold under each.
pub(crate) async fn world_where(promotion: Promotion) -> World {
    let mut options = options();
    options.promotion = promotion;
    start(options).await
}

pub(crate) async fn start(options: Options) -> World {
    World::start(options).await.unwrap()
}

/// Rotates through RotateSecret and waits for the end.
pub(crate) async fn rotate(world: &World, secret: &str) -> Rotation {
    world.secrets_manager().rotate(secret).await.unwrap()
}

/// Stages the token, as RotateSecret does before the first step.
pub(crate) fn stage(world: &World, secret: &str) {
    world.secrets_manager().stage(secret, TOKEN).unwrap();
}

/// Stages the token, and runs the steps before this one.
pub(crate) async fn stage_up_to(world: &World, secret: &str, step: &str) {
    stage(world, secret);
    for earlier in STEPS.iter().take_while(|earlier| **earlier != step) {
        outcome(world, secret, earlier).await;
    }
}

/// Invokes one step by hand.
pub(crate) async fn invoke(world: &World, secret: &str, step: &str) -> Invoked {
    let event =
        json!({ "Step": step, "SecretId": arn(world, secret), "ClientRequestToken": TOKEN });
    world.function().invoke(event).await
}

/// Invokes one step that must succeed, and returns its outcome.
pub(crate) async fn outcome(world: &World, secret: &str, step: &str) -> String {
    let answer = invoke(world, secret, step).await.outcome.unwrap();
    answer["outcome"].as_str().unwrap().to_owned()
}

/// Invokes all steps, each of which must succeed.
pub(crate) async fn all_steps(world: &World, secret: &str) {
    for step in STEPS {
        outcome(world, secret, step).await;
    }
}

/// Invokes one step that must fail.
pub(crate) async fn failure(world: &World, secret: &str, step: &str) -> FunctionError {
    invoke(world, secret, step).await.outcome.unwrap_err()
}

/// Invokes one step that must fail and change nothing.
pub(crate) async fn fails(world: &World, secret: &str, step: &str) -> FunctionError {
    let before = snapshot(world, secret).await;
    let error = failure(world, secret, step).await;
    assert_eq!(snapshot(world, secret).await, before, "{error}");
    error
}

/// The error has this type, and its message contains this advice.
#[track_caller]
pub(crate) fn assert_error(error: &FunctionError, error_type: &str, advice: &str) {
    assert_eq!(error.error_type, error_type, "{error}");
    assert!(error.error_message.contains(advice), "{error}");
}

/// Invokes revokeSecret.
pub(crate) async fn revoke(world: &World, secret: &str) -> Result<Value, FunctionError> {
    operate(world, secret, "revokeSecret").await
}

/// Invokes rollbackSecret.
pub(crate) async fn rollback(world: &World, secret: &str) -> Result<Value, FunctionError> {
    operate(world, secret, "rollbackSecret").await
}

/// Invokes a step that only operators send: it has no token.
async fn operate(world: &World, secret: &str, step: &str) -> Result<Value, FunctionError> {
    let event = json!({ "Step": step, "SecretId": arn(world, secret) });
    world.function().invoke(event).await.outcome
}

/// Calls an operation of Secrets Manager, which must succeed.
pub(crate) async fn call(world: &World, operation: &str, input: Value) -> Value {
    let answer = world.secrets_manager().call(operation, input).await;
    answer.unwrap()
}

/// The number of calls of an operation.
pub(crate) fn calls(world: &World, operation: &str) -> usize {
    let calls = world.secrets_manager().calls();
    let of_it = calls.iter().filter(|call| call.operation == operation);
    of_it.count()
}

/// An error of Secrets Manager with this code.
pub(crate) fn answers(code: &str) -> Behavior {
    Behavior::Error(ServiceError {
        status: 400,
        code: code.to_owned(),
        message: "as the test asked".to_owned(),
    })
}

/// Injects this into the next call of an operation.
pub(crate) fn inject(world: &World, operation: &str, behavior: Behavior) {
    let fault = Fault::on(operation, behavior);
    world.secrets_manager().inject(fault);
}

/// The secret's ARN, or the name itself where no such secret exists.
pub(crate) fn arn(world: &World, secret: &str) -> String {
    let arn = world.secrets_manager().arn(secret);
    arn.unwrap_or_else(|| secret.to_owned())
}

/// The version with this label, as it is stored.
pub(crate) async fn stored(service: &SecretsManager, secret: &str, label: &str) -> Option<String> {
    let input = json!({ "SecretId": secret, "VersionStage": label });
    let value = service.call("GetSecretValue", input).await.ok()?;
    Some(value["SecretString"].as_str()?.to_owned())
}

/// The document of the version with this label.
pub(crate) async fn document(world: &World, secret: &str, label: &str) -> Option<Value> {
    let stored = stored(world.secrets_manager(), secret, label).await?;
    Some(serde_json::from_str(&stored).unwrap())
}

/// The document of the current version.
pub(crate) async fn current(world: &World, secret: &str) -> Value {
    document(world, secret, "AWSCURRENT").await.unwrap()
}

/// The password of the version with this label.
pub(crate) async fn password(world: &World, secret: &str, label: &str) -> Option<String> {
    let document = document(world, secret, label).await?;
    Some(document["password"].as_str()?.to_owned())
}

/// Stores a version by hand, which becomes AWSCURRENT.
pub(crate) async fn put(world: &World, secret: &str, document: impl ToString) {
    let input = json!({ "SecretId": secret, "SecretString": document.to_string() });
    call(world, "PutSecretValue", input).await;
}

/// Changes these fields in the documents of the database's secrets, also in the administrator's.
pub(crate) async fn change_documents(world: &World, fields: &Value) {
    for secret in [
        world.admin(),
        world.single_user(),
        world.alternating_users(),
    ] {
        let mut document = current(world, secret).await;
        for (name, value) in fields.as_object().unwrap() {
            document[name] = value.clone();
        }
        put(world, secret, document).await;
    }
}

/// Stores the token's version, as createSecret does.
pub(crate) async fn put_pending(world: &World, secret: &str, document: impl ToString) {
    let input = json!({
        "SecretId": secret, "ClientRequestToken": TOKEN, "SecretString": document.to_string(),
        "VersionStages": ["AWSPENDING"],
    });
    call(world, "PutSecretValue", input).await;
}

/// The labels of each version.
pub(crate) async fn labels(world: &World, secret: &str) -> BTreeMap<String, Vec<String>> {
    let described = call(world, "DescribeSecret", json!({ "SecretId": secret })).await;
    serde_json::from_value(described["VersionIdsToStages"].clone()).unwrap_or_default()
}

/// The version with this label.
pub(crate) async fn version(world: &World, secret: &str, label: &str) -> String {
    let mut labels = labels(world, secret).await.into_iter();
    let has_it = |(_, of): &(_, Vec<String>)| of.iter().any(|of| of == label);
    labels.find(has_it).unwrap().0
}

/// Logs in with the credential of a document.
pub(crate) async fn log_in(world: &World, document: &Value) -> Result<Client, postgres::Error> {
    let text = |key: &str| document[key].as_str().unwrap();
    let (user, password, dbname) = (text("username"), text("password"), text("dbname"));
    world.postgres().connect(user, password, dbname).await
}

/// The server rejected the password.
#[track_caller]
pub(crate) fn assert_rejected(login: Result<Client, postgres::Error>) {
    let Err(postgres::Error::Refused(error)) = login else {
        panic!("it logs in, or the server did not answer")
    };
    assert_eq!(error.code().unwrap().code(), "28P01");
}

/// Whether a session still answers.
pub(crate) async fn is_alive(client: &Client) -> bool {
    client.simple_query("SELECT 1").await.is_ok()
}

/// Whether the server lets the single user's role in with this password.
pub(crate) async fn logs_in(world: &World, password: &str) -> bool {
    let postgres = world.postgres();
    let login = postgres.connect(world.role(), password, world.dbname());
    login.await.is_ok()
}

/// Whether the database, or the API-key service, accepts this version's credential.
pub(crate) async fn gets_in(world: &World, document: &Value) -> bool {
    match document["key"].as_str() {
        Some(key) => {
            let keys = world.key_service().unwrap().secrets();
            keys.iter().any(|of| of == key)
        }
        None => log_in(world, document).await.is_ok(),
    }
}

/// A client gets in with AWSCURRENT, or with AWSPENDING if AWSCURRENT is rejected.
pub(crate) async fn assert_nobody_is_locked_out(world: &World, secret: &str, case: &str) {
    for label in ["AWSCURRENT", "AWSPENDING"] {
        if let Some(document) = document(world, secret, label).await
            && gets_in(world, &document).await
        {
            return;
        }
    }
    panic!("{case}: neither AWSCURRENT nor AWSPENDING gets in");
}

/// The administrator's role.
pub(crate) fn administrator(world: &World) -> String {
    format!("admin_of_{}", world.role())
}

/// Runs SQL as the superuser.
pub(crate) async fn execute(world: &World, sql: &str) {
    world.postgres().execute(sql).await.unwrap();
}

/// A session of the superuser in the secrets' database.
pub(crate) async fn in_the_database(world: &World) -> Client {
    let postgres = world.postgres();
    let password = postgres.superuser_password().expose_secret();
    let client = postgres.connect(Postgres::SUPERUSER, password, world.dbname());
    client.await.unwrap()
}

/// Moves AWSCURRENT to a version, by hand.
pub(crate) async fn make_current(world: &World, secret: &str, to: &str) {
    let from = version(world, secret, "AWSCURRENT").await;
    let moved = json!({
        "SecretId": secret, "VersionStage": "AWSCURRENT", "MoveToVersionId": to, "RemoveFromVersionId": from,
    });
    call(world, "UpdateSecretVersionStage", moved).await;
}

/// Inserts a line at the top of pg_hba.conf.
pub(crate) async fn first_in_hba(world: &World, line: &str) {
    let path: String = ask(
        world,
        "SELECT setting FROM pg_settings WHERE name = 'hba_file'",
    )
    .await;
    let rules = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{line}\n{rules}")).unwrap();
    let method = line.split_whitespace().last().unwrap();
    execute(world, "SELECT pg_reload_conf()").await;
    let read = format!(
        "SELECT count(*) > 0 FROM pg_hba_file_rules WHERE auth_method = '{method}' AND error IS NULL"
    );
    while !ask::<bool>(world, &read).await {}
}

/// The single value that a query of the superuser returns.
pub(crate) async fn ask<T: FromSqlOwned>(world: &World, sql: &str) -> T {
    let superuser = world.postgres().superuser_client().await.unwrap();
    superuser.query_one(sql, &[]).await.unwrap().get(0)
}

/// A session of the application, with the current version.
pub(crate) async fn application(world: &World, secret: &str) -> Client {
    log_in(world, &current(world, secret).await).await.unwrap()
}

/// Whether the base role of the alternating users has a `VALID UNTIL`.
pub(crate) async fn is_bounded(world: &World) -> bool {
    let question = format!(
        "SELECT coalesce(rolvaliduntil < 'infinity', false) FROM pg_roles WHERE rolname = '{}'",
        world.alternating_role()
    );
    ask(world, &question).await
}

/// Rotates both secrets, each of which must log in afterwards.
pub(crate) async fn both_rotate(world: &World) {
    for secret in [world.single_user(), world.alternating_users()] {
        let rotation = rotate(world, secret).await;
        assert!(rotation.succeeded, "{secret}: {rotation:?}");
        log_in(world, &current(world, secret).await).await.unwrap();
    }
}

/// The function's warnings of this kind in a rotation.
pub(crate) fn warnings(rotation: &Rotation, kind: &str) -> Vec<String> {
    let steps = rotation.attempts.iter().flat_map(|attempt| &attempt.steps);
    let log = steps.flat_map(|step| &step.invoked.log);
    let lines = log.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let of_the_kind = lines.filter(|line| line["kind"] == kind);
    of_the_kind
        .filter_map(|line| Some(line["message"].as_str()?.to_owned()))
        .collect()
}

/// The SQL that an error advises a superuser to run.
pub(crate) fn cures(message: &str) -> Vec<&str> {
    let parts = message.split("as a superuser, run ").skip(1);
    parts
        .filter_map(|part| part.split("; and ").next())
        .collect()
}

/// The server's major version, such as 15.
pub(crate) async fn release(world: &World) -> i32 {
    ask(
        world,
        "SELECT current_setting('server_version_num')::int4 / 10000",
    )
    .await
}

/// The seconds until a role's `VALID UNTIL`; `None` without one.
pub(crate) async fn seconds_left(world: &World, role: &str) -> Option<f64> {
    let sql = format!(
        "SELECT extract(epoch FROM nullif(rolvaliduntil, 'infinity') - now())::float8 FROM pg_roles WHERE rolname = '{role}'"
    );
    ask(world, &sql).await
}

/// A lifetime longer than any test: a client that sees a change sooner got a notification, or was rejected.
pub(crate) const LONG: Duration = Duration::from_secs(600);

/// Two workers for each way to connect, with this lifetime, and with or without a listener.
pub(crate) fn workload(ttl: Duration, listen: bool) -> Workload {
    Workload {
        connections: Connections::ALL.to_vec(),
        workers: 2,
        pause: Duration::from_millis(20),
        // a machine may be busy
        patience: Duration::from_secs(60),
        span: Duration::from_secs(1),
        cache: Cache::Rotating { ttl, listen },
    }
}

/// Stores a secret with this text, and stages the token.
pub(crate) async fn staged_secret(world: &World, name: &str, text: &str) {
    let input = json!({ "Name": name, "SecretString": text });
    call(world, "CreateSecret", input).await;
    stage(world, name);
}

/// The demo secret's document with one key replaced.
pub(crate) async fn document_with(world: &World, key: &str, value: Value) -> String {
    let mut document = current(world, world.single_user()).await;
    document[key] = value;
    document.to_string()
}

/// Everything that a failed step must leave as it was.
#[derive(Debug, PartialEq)]
pub(crate) struct Snapshot {
    labels: BTreeMap<String, Vec<String>>,
    values: Vec<Option<String>>,
    verifier: Option<String>,
}

/// Takes a snapshot of a secret and of the role's verifier.
pub(crate) async fn snapshot(world: &World, secret: &str) -> Snapshot {
    let mut values = Vec::new();
    for label in ["AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"] {
        values.push(stored(world.secrets_manager(), secret, label).await);
    }
    let verifier = verifier(world.postgres(), world.role()).await;
    Snapshot {
        labels: labels(world, secret).await,
        values,
        verifier,
    }
}

/// The verifier that the server stores for a role.
pub(crate) async fn verifier(postgres: &Postgres, role: &str) -> Option<String> {
    let question = "SELECT rolpassword FROM pg_authid WHERE rolname = $1";
    let superuser = postgres.superuser_client().await.unwrap();
    let answer = superuser.query_one(question, &[&role]).await;
    answer.unwrap().get(0)
}

/// Waits for a condition; panics after a minute, because a hanging test says nothing.
pub(crate) async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let so = async {
        while !is_so().await {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let so = timeout(Duration::from_secs(60), so).await;
    assert!(so.is_ok(), "{what}: not within a minute");
}

/// A port without a listener. The bound socket keeps it from other processes.
pub(crate) fn closed_port() -> (TcpSocket, u16) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}
