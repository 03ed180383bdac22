//! Whose credentials are used, and in which region: what was meant, or an error that names it.

#![cfg(test)]

mod common;

use std::{path::PathBuf, process::Command};

use common::{command, run, world};
use local::world::World;
use serde_json::json;
use snapbox::cmd::OutputAssert;
use tempfile::TempDir;

/// The AWS CLI's files.
struct Files {
    folder: TempDir,
}

impl Files {
    fn new(config: &str, credentials: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config"), config).unwrap();
        std::fs::write(folder.path().join("credentials"), credentials).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// rotatectl with these files, and no keys in the environment.
    fn command(&self, world: &World, arguments: &[&str]) -> Command {
        let mut command = command(world, arguments);
        command
            .env("AWS_CONFIG_FILE", self.path("config"))
            .env("AWS_SHARED_CREDENTIALS_FILE", self.path("credentials"))
            // no token of the person who runs the tests
            .env("HOME", self.folder.path())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env_remove("AWS_ACCESS_KEY_ID")
            .env_remove("AWS_SECRET_ACCESS_KEY");
        command
    }
}

fn with_keys(mut command: Command, id: &str) -> Command {
    command
        .env("AWS_ACCESS_KEY_ID", id)
        .env("AWS_SECRET_ACCESS_KEY", "any");
    command
}

fn stderr_of(ran: &OutputAssert) -> String {
    String::from_utf8(ran.get_output().stderr.clone()).unwrap()
}

/// Runs it, and asserts that it could not and says so.
async fn says(command: Command, words: &[&str]) {
    let said = stderr_of(&run(command).await.code(1));
    for word in words {
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[tokio::test]
async fn a_named_profile_is_used_even_if_the_environment_has_keys() {
    let world = world().await;
    let nothing = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Deny", "Action": "*", "Resource": "*" }
    ]});
    world
        .iam()
        .restrict("AKIASTAGING", "staging", &[nothing])
        .unwrap();
    let files = Files::new(
        "[profile prod]\nregion = us-east-1\n",
        "[prod]\naws_access_key_id = AKIAPROD\naws_secret_access_key = any\n",
    );
    let status = |profile: &[&str]| {
        let arguments = [&["status", "--no-values"], profile].concat();
        with_keys(files.command(&world, &arguments), "AKIASTAGING")
    };
    says(status(&[]), &["is denied"]).await;
    run(status(&["--profile", "prod"])).await.success();
    let mut by_variable = status(&[]);
    by_variable.env("AWS_PROFILE", "prod");
    // as with the AWS CLI, keys come before a profile that only a variable names
    says(by_variable, &["is denied"]).await;
}

#[tokio::test]
async fn a_profile_with_a_role_assumes_it_in_the_profiles_region() {
    let world = world().await;
    let anybody = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Principal": { "AWS": "*" }, "Action": "sts:AssumeRole" }
    ]});
    let list = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*" }
    ]});
    world.iam().define("operator", &anybody, &[list]).unwrap();
    let files = Files::new(
        "[profile prod]\nregion = us-east-1\nsource_profile = keys\n\
         role_arn = arn:aws:iam::123456789012:role/operator\n",
        "[keys]\naws_access_key_id = AKIAKEYS\naws_secret_access_key = any\n",
    );
    let mut status = files.command(
        &world,
        &["status", "--no-values", "--profile", "prod", "-v"],
    );
    status
        .env_remove("AWS_REGION")
        .env_remove("AWS_DEFAULT_REGION");
    let said = stderr_of(&run(status).await.success());
    assert!(said.contains("region us-east-1, profile prod"), "{said}");
    assert!(
        said.contains("secretsmanager.ListSecrets at http"),
        "{said}"
    );
}

#[tokio::test]
async fn an_option_that_a_local_command_would_ignore_is_an_error() {
    let world = world().await;
    for command in [
        &["man", "--profile", "prod"][..],
        &["completions", "bash", "--region", "eu-west-1"],
        &["drill", "--local", "--profile", "prod"],
    ] {
        let command = common::command(&world, command);
        says(command, &["does not call AWS and would ignore"]).await;
    }
}

#[tokio::test]
async fn an_unknown_profile_is_an_error_that_lists_the_existing_ones() {
    let world = world().await;
    let files = Files::new("[profile prod]\nregion = us-east-1\n[default]\n", "");
    for keys in [false, true] {
        let mut command = files.command(&world, &["status", "--profile", "prd"]);
        if keys {
            command = with_keys(command, "any");
        }
        says(command, &["no profile prd", "default, prod"]).await;
    }
}

#[tokio::test]
async fn an_error_names_the_credentials_that_are_set_up_wrong() {
    let world = world().await;
    let files = Files::new(
        "[profile single]\nsso_session = work\nsso_account_id = 123456789012\nsso_role_name = admin\n\
         [sso-session work]\nsso_region = us-east-1\nsso_start_url = https://example.invalid/start\n\
         [profile process]\ncredential_process = false\n\
         [profile role]\nrole_arn = arn:aws:iam::123456789012:role/admin\nsource_profile = nobody\n\
         [profile empty]\nregion = us-east-1\n",
        "",
    );
    for (profile, words) in [
        (
            "single",
            [
                "profile single signs in with SSO",
                "aws sso login --profile single",
            ],
        ),
        (
            "process",
            [
                "the credential_process of profile process failed",
                "run it by hand",
            ],
        ),
        (
            "role",
            [
                "profile role could not assume arn:aws:iam::123456789012:role/admin",
                "source_profile",
            ],
        ),
        (
            "empty",
            [
                "profile empty has no usable credentials",
                "aws configure --profile empty",
            ],
        ),
    ] {
        says(
            files.command(&world, &["status", "--profile", profile]),
            &words,
        )
        .await;
        let mut by_variable = files.command(&world, &["status"]);
        by_variable.env("AWS_PROFILE", profile);
        says(by_variable, &words).await;
    }
    says(
        files.command(&world, &["status"]),
        &["there are no credentials", "AWS_PROFILE"],
    )
    .await;
    let mut half = files.command(&world, &["status"]);
    half.env("AWS_ACCESS_KEY_ID", "any");
    says(half, &["AWS_SECRET_ACCESS_KEY is not set"]).await;
}

#[tokio::test]
async fn a_full_arn_decides_the_region_and_a_different_region_is_an_error() {
    let world = world().await;
    let files = Files::new("", "");
    let arn = world.secrets_manager().arn(world.single_user()).unwrap();
    let without_region = |arguments: &[&str]| {
        let mut command = with_keys(files.command(&world, arguments), "any");
        command
            .env_remove("AWS_REGION")
            .env_remove("AWS_DEFAULT_REGION");
        command
    };
    says(
        without_region(&["rotate", world.single_user()]),
        &["no region is known", "full ARN"],
    )
    .await;
    run(without_region(&["rotate", &arn])).await.success();
    let mut elsewhere = without_region(&["rotate", &arn]);
    elsewhere.env("AWS_REGION", "eu-central-1");
    run(elsewhere).await.success();
    says(
        without_region(&["rotate", &arn, "--region", "eu-central-1"]),
        &["two regions are given, eu-central-1 (--region) and us-east-1"],
    )
    .await;
}
