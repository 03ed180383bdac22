//! The world's own face: clock, schedule and faults over HTTP, from any language.

#![cfg(test)]

mod common;

use std::{net::SocketAddr, process::Command};

use common::{REGION, serve_with_all, service};
use local::secrets_manager::SecretsManager;
use serde_json::{Value, json};

struct World {
    service: SecretsManager,
    address: SocketAddr,
}

impl World {
    /// With the secret `demo`, which rotates every 30 days by a function that does nothing.
    async fn start() -> Self {
        let service = service();
        let address = serve_with_all(&service).await;
        let input = json!({ "Name": "demo", "SecretString": "one" });
        service.call("CreateSecret", input).await.unwrap();
        let function = format!("arn:aws:lambda:{REGION}:123456789012:function:rotate");
        service.configure_rotation("demo", &function, 30).unwrap();
        Self { service, address }
    }

    /// The status and the body of an answer.
    async fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = common::send(self.address, method, path, "", &body).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.ask("GET", path, &Value::Null).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// The message of an answer that has to be a refusal.
    async fn refused(&self, method: &str, path: &str, body: Value) -> String {
        let (status, answer) = self.ask(method, path, &body).await;
        assert!((400..500).contains(&status), "{status} {answer}");
        answer["error"].as_str().unwrap().to_owned()
    }

    /// Runs a script that has boto3 and `world(method, path, body)`, with this world's address.
    async fn python(&self, script: &str) {
        let mut command = Command::new("python3");
        let endpoint = format!("http://{}", self.address);
        command
            .args(["-c", &format!("{PRELUDE}\n{script}")])
            .env("AWS_ENDPOINT_URL", &endpoint)
            .env("AWS_DEFAULT_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", "any")
            .env("AWS_SECRET_ACCESS_KEY", "any");
        // the world answers from this thread
        let output = tokio::task::spawn_blocking(move || command.output());
        let output = output.await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }
}

const PRELUDE: &str = r#"
import boto3, json, os, threading, time, urllib.request
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

# made once: a session is not for threads, its clients are
service = boto3.client('secretsmanager', config=Config(retries={'max_attempts': 0}, read_timeout=3600))

def world(method, path, body=None):
    request = urllib.request.Request(os.environ['AWS_ENDPOINT_URL'] + path, method=method)
    return json.load(urllib.request.urlopen(request, None if body is None else json.dumps(body).encode()))

def read(): return service.get_secret_value(SecretId='demo')['SecretString']
def put(value): service.put_secret_value(SecretId='demo', SecretString=value)

def begin(call):
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread

def until(condition):
    while not condition(): time.sleep(0.02)
"#;

#[tokio::test]
async fn python_injects_each_fault_and_sees_the_error_of_boto3() {
    let world = World::start().await;
    world
        .python(
            r#"
def fails(error, call):
    try: call()
    except error as failed: return failed
    raise AssertionError(f'no {error}')

def fault(**fault): return world('POST', '/_local/faults', fault)['id']

fault(operation='GetSecretValue', secret='demo', behavior='throttle', times=2)
for _ in range(2):
    assert fails(ClientError, read).response['Error']['Code'] == 'ThrottlingException'
assert read() == 'one'

fault(operation='PutSecretValue', behavior='error', status=500, code='InternalServiceError')
failed = fails(ClientError, lambda: put('two')).response
assert failed['ResponseMetadata']['HTTPStatusCode'] == 500 and read() == 'one'

fault(operation='PutSecretValue', behavior='cut', when='before')
fails(ConnectionClosedError, lambda: put('two'))
assert read() == 'one'
fault(operation='PutSecretValue', behavior='cut', when='after')
fails(ConnectionClosedError, lambda: put('two'))
assert read() == 'two'

fault(operation='GetSecretValue', behavior='lag')
assert read() == 'one' and read() == 'two'

fault(operation='PutSecretValue', behavior='delay', time='1h')
late = begin(lambda: put('three'))
until(lambda: read() == 'three')
assert late.is_alive()

hangs = fault(operation='PutSecretValue', behavior='hang', when='before')
held = begin(lambda: put('four'))
holds = lambda: [fault['id'] for fault in world('GET', '/_local/faults')['faults'] if fault['holds']]
until(lambda: holds() == [hangs])
assert read() == 'three'
assert world('DELETE', f'/_local/faults/{hangs}') == {'cleared': 1}
held.join()
assert read() == 'four' and world('GET', '/_local/faults') == {'faults': []}
"#,
        )
        .await;
}

#[tokio::test]
async fn python_moves_the_clock_to_the_next_rotation() {
    let world = World::start().await;
    world
        .python(
            r#"
[due] = world('GET', '/_local/schedule')['schedule']
assert (due['secret'], due['event']) == ('demo', 'rotation') and due['until'].endswith('T23:59:59Z'), due
before = world('GET', '/_local/clock')['now']
moved = world('POST', '/_local/clock', {'advance': '31d'})
assert moved['now'] > before
[began] = moved['began']
assert began['secret'] == 'demo'
labels = service.describe_secret(SecretId='demo')['VersionIdsToStages']
assert labels[began['version']] == ['AWSPENDING']
"#,
        )
        .await;
    assert_eq!(world.service.schedule().len(), 1);
}

#[tokio::test]
async fn python_makes_roles_and_assumes_one() {
    let world = World::start().await;
    world
        .python(
            r#"
def policy(**statement): return {'Version': '2012-10-17', 'Statement': {'Effect': 'Allow', **statement}}
trust = policy(Principal={'AWS': '123456789012'}, Action='sts:AssumeRole')
reader = world('POST', '/_local/roles', {
    'name': 'reader', 'trust': trust, 'policies': [policy(Action='secretsmanager:GetSecretValue', Resource='*')],
})['arn']
world('POST', '/_local/roles', {
    'name': 'machine', 'trust': trust, 'policies': [policy(Action='sts:AssumeRole', Resource=reader)],
    'access_key_id': 'AKIAMACHINE',
})

machine = boto3.Session(aws_access_key_id='AKIAMACHINE', aws_secret_access_key='any')
try: machine.client('secretsmanager').get_secret_value(SecretId='demo')
except ClientError as error: assert error.response['Error']['Code'] == 'AccessDeniedException'
else: raise AssertionError('the machine reads')
given = machine.client('sts').assume_role(RoleArn=reader, RoleSessionName='test')['Credentials']
session = boto3.Session(given['AccessKeyId'], given['SecretAccessKey'], given['SessionToken'])
assert session.client('secretsmanager').get_secret_value(SecretId='demo')['SecretString'] == 'one'
assert session.client('sts').get_caller_identity()['Arn'].endswith(':assumed-role/reader/test')
"#,
        )
        .await;
}

#[tokio::test]
async fn faults_are_listed_until_they_are_used_up_or_cleared() {
    let world = World::start().await;
    for fault in [
        json!({ "operation": "GetSecretValue", "behavior": "delay", "time": "1ms" }),
        json!({ "operation": "GetSecretValue", "behavior": "lag", "times": 3, "secret": "demo" }),
    ] {
        let (status, _) = world.ask("POST", "/_local/faults", &fault).await;
        assert_eq!(status, 201);
    }
    let read = "X-Amz-Target: secretsmanager.GetSecretValue\r\n";
    for _ in 0..2 {
        common::post(world.address, "/", read, r#"{"SecretId":"demo"}"#).await;
    }
    let faults = &world.get("/_local/faults").await["faults"];
    assert_eq!(
        *faults,
        json!([{
            "id": 2, "operation": "GetSecretValue", "secret": "demo", "times": 2, "behavior": "lag",
        }])
    );
    let (_, cleared) = world.ask("DELETE", "/_local/faults", &Value::Null).await;
    assert_eq!(cleared, json!({ "cleared": 1 }));
    assert_eq!(world.get("/_local/faults").await["faults"], json!([]));
}

#[tokio::test]
async fn a_refusal_says_what_is_wrong_and_what_is_allowed() {
    let world = World::start().await;
    let fault = |fault: Value| world.refused("POST", "/_local/faults", fault);
    let role = |role: Value| world.refused("POST", "/_local/roles", role);
    let trust = json!({ "Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Principal": { "AWS": "123456789012" }, "Action": "sts:AssumeRole",
    } });
    let mut with_resource = trust.clone();
    with_resource["Statement"]["Resource"] = "*".into();
    let get = "GetSecretValue";
    for (refused, wrong, allowed) in [
        (
            fault(json!({ "behavior": "lag" })).await,
            "missing field",
            "operation",
        ),
        (
            fault(json!({ "operation": "GetSecret", "behavior": "lag" })).await,
            "GetSecret\"",
            "GetSecretValue",
        ),
        (
            fault(json!({ "operation": get, "behavior": "slow" })).await,
            "slow",
            "`delay`, `hang`",
        ),
        (
            fault(json!({ "operation": get, "behavior": "lag", "delay": 1 })).await,
            "delay",
            "`time`",
        ),
        (
            fault(json!({ "operation": get, "behavior": "lag", "time": "1s" })).await,
            "has no field time",
            "no fields of its own",
        ),
        (
            fault(json!({ "operation": get, "behavior": "cut", "time": "1s" })).await,
            "has no field time",
            "it has when",
        ),
        (
            fault(json!({ "operation": get, "behavior": "cut" })).await,
            "when",
            "before or after",
        ),
        (
            fault(json!({ "operation": get, "behavior": "hang", "when": "now" })).await,
            "now",
            "`before` or `after`",
        ),
        (
            fault(json!({ "operation": get, "behavior": "delay" })).await,
            "time",
            "3s or 500ms",
        ),
        (
            fault(json!({ "operation": get, "behavior": "error" })).await,
            "code",
            "ResourceNotFoundException",
        ),
        (
            fault(json!({ "operation": get, "behavior": "error", "code": "X", "status": 200 }))
                .await,
            "200",
            "400 to 599",
        ),
        (
            fault(json!({ "operation": "PutSecretValue", "behavior": "lag" })).await,
            "does not lag",
            "DescribeSecret",
        ),
        (
            fault(json!({ "operation": get, "behavior": "lag", "times": 0 })).await,
            "times is 0",
            "leave it out",
        ),
        (
            world
                .refused("DELETE", "/_local/faults/7", Value::Null)
                .await,
            "the fault 7 does not exist",
            "GET /_local/faults",
        ),
        (
            world
                .refused("POST", "/_local/clock", json!({ "advance": "soon" }))
                .await,
            "is not a time",
            "30d, 12h",
        ),
        (
            world
                .refused("POST", "/_local/clock", json!({ "advance": "9000y" }))
                .await,
            "9999",
            "by less",
        ),
        (
            world.refused("POST", "/_local/clock", Value::Null).await,
            "is not the required JSON",
            "EOF",
        ),
        (
            world.refused("GET", "/_local", Value::Null).await,
            "is unknown",
            "GET /_local/clock",
        ),
        (
            world.refused("PUT", "/_local/clock", Value::Null).await,
            "is unknown",
            "POST /_local/clock",
        ),
        (
            world.refused("GET", "/_local/time", Value::Null).await,
            "is unknown",
            "GET /_local/schedule",
        ),
    ] {
        assert!(refused.contains(wrong), "{wrong}: {refused}");
        assert!(refused.contains(allowed), "{allowed}: {refused}");
    }
    for (refused, wrong, allowed) in [
        (role(json!({ "name": "r" })).await, "missing field", "trust"),
        (
            role(json!({ "name": "a b", "trust": trust, "policies": [] })).await,
            "cannot have this name",
            "letters",
        ),
        (
            role(json!({ "name": "r", "trust": {}, "policies": [] })).await,
            "not an IAM policy",
            "correct",
        ),
        (
            role(json!({ "name": "r", "trust": with_resource, "policies": [] })).await,
            "a Resource in a trust policy",
            "without",
        ),
        (
            role(json!({ "name": "r", "trust": trust, "policies": [], "access_key_id": "ASIA1" }))
                .await,
            "ASIA",
            "AKIAREADER",
        ),
    ] {
        assert!(refused.contains(wrong), "{wrong}: {refused}");
        assert!(refused.contains(allowed), "{allowed}: {refused}");
    }
    assert_eq!(world.get("/_local/faults").await["faults"], json!([]));
}
