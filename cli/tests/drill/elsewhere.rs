//! At an endpoint, as in an account of AWS.

use std::time::Duration;

use local::world::Options;
use serde_json::Value;
use snapbox::{assert_data_eq, str};
use tokio::time::sleep;

use crate::{
    Drill,
    common::{current, execute, leave_over, passwords, start, world},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_json_output_reports_what_happened_and_no_password() {
    let world = world().await;
    let secret = world.alternating_users();
    let (mut secrets, before) = (
        passwords(&world, secret).await,
        current(&world, secret).await,
    );
    let options = ["--yes", "--json", "--duration", "2s", "--workers", "1"];
    let arguments = [&[secret], &options[..]].concat();
    let drill = Drill::in_world(&world, &arguments).await;
    drill.assert_ended_with(0);
    drill.assert_plain();

    let after = current(&world, secret).await;
    assert_ne!(before, after);
    let told: Value = serde_json::from_str(&drill.stdout()).unwrap();
    crate::common::assert_of_schema(&told);
    assert_eq!(told["passed"], true, "{told}");
    let [rehearsal] = told["rehearsals"].as_array().unwrap().as_slice() else {
        panic!("{told}")
    };
    assert_eq!(rehearsal["secret"], secret);
    assert_eq!(rehearsal["strategy"], "alternating users");
    assert_eq!(rehearsal["place"], world.endpoint());
    assert_eq!(rehearsal["failures"], 0);
    assert!(rehearsal["requests"].as_u64() > Some(8), "{told}");
    assert_eq!(rehearsal["rotations"][0]["version"], after.as_str());
    let steps = rehearsal["rotations"][0]["steps"].as_array().unwrap();
    let steps: Vec<&Value> = steps.iter().map(|step| &step["step"]).collect();
    let all = ["createSecret", "setSecret", "testSecret", "finishSecret"];
    assert_eq!(steps, all);
    let kinds = rehearsal["connections"].as_array().unwrap();
    assert_eq!(kinds.len(), 4);
    for kind in kinds {
        assert!(kind["changed_over_ms"][0].is_number(), "{told}");
    }

    secrets.extend(passwords(&world, secret).await);
    assert_eq!(secrets.len(), 2);
    let (stdout, report) = (drill.stdout(), drill.report());
    for password in secrets {
        assert!(!stdout.contains(&password) && !report.contains(&password));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_requests_give_exit_code_2_and_the_report_says_why() {
    let world = world().await;
    let secret = world.single_user();
    let before = current(&world, secret).await;
    let options = ["--yes", "--duration", "8s", "--give-up-after", "20s"];
    let arguments = [&[secret], &options[..]].concat();
    // as soon as it has rotated, someone changes the password by hand and stores it nowhere
    let meanwhile = async {
        while current(&world, secret).await == before {
            sleep(Duration::from_millis(20)).await;
        }
        let role = world.role();
        let sql = format!("ALTER ROLE {role} PASSWORD 'stored-nowhere'");
        execute(&world, &sql).await;
    };
    let (drill, ()) = tokio::join!(Drill::in_world(&world, &arguments), meanwhile);
    drill.assert_ended_with(2);
    let (stdout, report) = (drill.stdout(), drill.report());
    assert!(stdout.contains("✘"), "{stdout}");
    for text in [stdout, report] {
        assert!(text.contains("the first failure: "), "{text}");
        // sqlx repeats the server's words; a worker that waited for another worker's login made none itself
        let whys = ["28P01", "the server rejects every version"];
        assert!(whys.iter().any(|why| text.contains(why)), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_secret_is_not_rotated_without_a_confirmation() {
    let world = world().await;
    let secret = world.single_user();
    let before = current(&world, secret).await;
    let drill = Drill::in_world(&world, &[secret]).await;
    drill.assert_ended_with(1);
    assert_data_eq!(
        drill.stderr(),
        str![[r#"
rotating demo/orders/single once, in account 123456789012, region us-east-1: every application that uses its password must change over
rotatectl: cannot ask for confirmation: stdin is not a terminal. Nothing was done: confirm with --yes

"#]]
    );
    assert_eq!(current(&world, secret).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_without_rotation_is_refused() {
    let world = world().await;
    let drill = Drill::in_world(&world, &[world.admin(), "--yes"]).await;
    drill.assert_ended_with(1);
    assert_data_eq!(
        drill.stderr(),
        str![[r#"
rotatectl: rotation is not enabled for demo/admin: turn it on first, with aws secretsmanager rotate-secret --rotation-lambda-arn

"#]]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_does_not_end_is_reported_with_the_requests_of_the_application() {
    let world = start(Options::new("/bin/false")).await;
    let options = ["--yes", "--duration", "1s", "--give-up-after", "2s"];
    let arguments = [&[world.single_user()], &options[..]].concat();
    let drill = Drill::in_world(&world, &arguments).await;
    drill.assert_ended_with(1);
    assert_data_eq!(
        drill.stderr(),
        str![[r#"
rotating demo/orders/single once, in account 123456789012, region us-east-1: every application that uses its password must change over
rotatectl: no sign of life from the rotation for 2s: check that [..] (in that time 0 of the application's [..] requests failed)

"#]]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_another_client_began_does_not_count_as_the_drills() {
    let world = world().await;
    let secret = world.single_user();
    leave_over(&world, secret, 0).await;
    let drill = Drill::in_world(&world, &[secret, "--yes", "--duration", "1s"]).await;
    drill.assert_ended_with(1);
    let said = drill.stderr();
    assert!(said.contains("in progress already"), "{said}");
}
