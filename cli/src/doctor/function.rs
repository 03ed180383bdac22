//! The rotation function: whether it exists, is ready, has valid settings, and may be invoked.

use std::time::Duration;

use aws_sdk_lambda::{
    Client,
    operation::get_function_configuration::GetFunctionConfigurationOutput,
    types::{LastUpdateStatus, State},
};
use secret_rotation::settings::Settings;

use super::finding::{Cure, Finding, Verdict};
use crate::{
    aws::{self, explain},
    policy::{self, Admits, admits},
    settings,
    shell::Shell,
};

/// A login may take a fifth of the timeout. Lambda's default of 3 s is too short.
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The findings, and the function's settings if they could be read.
pub(super) async fn examine(
    client: &Client,
    function: Option<&str>,
    secret_arn: &str,
    shell: &Shell,
) -> (Vec<Finding>, Option<Settings>) {
    let checks = ["function", "environment", "permission"];
    let Some(function) = function else {
        let skipped = Finding::skipped(&checks, "no function is configured for the secret");
        return (skipped, None);
    };
    let configuration = client.get_function_configuration().function_name(function);
    let configuration = match configuration.send().await {
        Ok(configuration) => configuration,
        Err(error) => {
            let verdict = unknown(explain("lambda:GetFunctionConfiguration", error), function);
            let why = "nothing is known about the function";
            let mut findings = vec![Finding::new("function", verdict)];
            findings.extend(Finding::skipped(&checks[1..], why));
            return (findings, None);
        }
    };
    let (environment, settings) = environment(&configuration);
    let findings = vec![
        Finding::new("function", ready(&configuration, function, shell)),
        Finding::new("environment", environment),
        Finding::new(
            "permission",
            permission(client, function, secret_arn, shell).await,
        ),
    ];
    (findings, settings)
}

fn unknown(error: aws::Error, function: &str) -> Verdict {
    match error {
        aws::Error::Absent { .. } => {
            let advice = "deploy it, or name another one with rotate-secret --rotation-lambda-arn";
            Verdict::wrong(format!("{function} does not exist"), Cure::advice(advice))
        }
        error => Verdict::unknown(error.to_string(), Cure::default()),
    }
}

fn ready(configuration: &GetFunctionConfigurationOutput, function: &str, shell: &Shell) -> Verdict {
    let name = configuration.function_name().unwrap_or(function);
    let state = configuration.state();
    // Lambda makes a function inactive after weeks without an invocation. The next invocation activates it.
    if !matches!(state, None | Some(State::Active | State::Inactive)) {
        let state = state.map_or("?", State::as_str);
        let reason = configuration.state_reason().unwrap_or("no reason is given");
        let what = format!("{name} is {state} ({reason})");
        return Verdict::wrong(
            what,
            Cure::advice("if it is Pending, wait; otherwise deploy it again"),
        );
    }
    if configuration.last_update_status() == Some(&LastUpdateStatus::Failed) {
        let reason = configuration.last_update_status_reason();
        let what = format!(
            "the last update of {name} failed ({})",
            reason.unwrap_or("no reason is given")
        );
        return Verdict::wrong(what, Cure::advice("deploy it again"));
    }
    let runtime = configuration
        .runtime()
        .map_or("an image", |runtime| runtime.as_str());
    let timeout = Duration::from_secs(configuration.timeout().unwrap_or(3).unsigned_abs().into());
    let what = format!(
        "{name} is ready, {runtime}, a step may take {} s",
        timeout.as_secs()
    );
    if timeout < SHORTEST_TIMEOUT {
        let words = [
            "lambda",
            "update-function-configuration",
            "--function-name",
            function,
            "--timeout",
            "30",
        ];
        let cure = Cure::advice("a login may take at most a fifth of that; raise the timeout:")
            .command(shell.aws(&words));
        return Verdict::warning(what, cure);
    }
    Verdict::ok(what)
}

/// Reads the settings with the function's own rules. Prints only the name and value of a refused setting.
fn environment(configuration: &GetFunctionConfigurationOutput) -> (Verdict, Option<Settings>) {
    let environment = configuration.environment();
    if let Some(error) = environment.and_then(|environment| environment.error()) {
        let code = error.error_code().unwrap_or("no code");
        let advice =
            "allow kms:Decrypt on the key of the function's environment to you and to its role";
        let verdict = Verdict::warning(
            format!("Lambda cannot decrypt it ({code})"),
            Cure::advice(advice),
        );
        return (verdict, None);
    }
    match settings::of(configuration) {
        Ok(settings) => (
            Verdict::ok("the function's settings can be read"),
            Some(settings),
        ),
        Err(error) => {
            let advice = "correct it with lambda update-function-configuration, or in the function's deployment";
            (
                Verdict::wrong(error.to_string(), Cure::advice(advice)),
                None,
            )
        }
    }
}

async fn permission(client: &Client, function: &str, secret_arn: &str, shell: &Shell) -> Verdict {
    let policy = match policy::of(client, function).await {
        Ok(policy) => policy,
        Err(error) => return Verdict::unknown(error.to_string(), Cure::default()),
    };
    let account = secret_arn.split(':').nth(4).unwrap_or_default();
    let allow = || policy::allow(shell, function, account);
    match admits(&policy, secret_arn) {
        Admits::Conditionally => {
            Verdict::ok("Secrets Manager may invoke the function for this account's secrets")
        }
        Admits::Anybody => Verdict::warning(
            "Secrets Manager may invoke the function on behalf of any account",
            Cure::advice("add a statement for this account, and remove the other one (lambda remove-permission):")
                .command(allow()),
        ),
        Admits::Perhaps => Verdict::warning(
            "whether Secrets Manager may invoke the function depends on a condition that doctor does not evaluate",
            Cure::advice("see it with lambda get-policy"),
        ),
        Admits::Nobody => Verdict::wrong(
            "Secrets Manager may not invoke the function",
            Cure::advice("allow it:").command(allow()),
        ),
    }
}
