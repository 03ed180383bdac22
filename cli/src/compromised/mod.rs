//! `rotatectl compromised`: after a leak, everything that ends it, in the order that locks nobody out.
//!
//! A round is a rotation and a revocation. Under single user one does it: the rotation replaces the password, the revocation ends
//! the sessions that it opened. Under alternating users it takes two: the first makes the other user current and ends
//! the one that was, the second does the same the other way round. So at the end each of the two has a password that was not
//! stored at the beginning, or none, and no session of then.

mod old;
mod timeline;

use std::{
    env,
    io::{self, IsTerminal},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use aws_config::SdkConfig;
use aws_sdk_lambda::{Client as Lambda, primitives::Blob};
use aws_sdk_secretsmanager::Client;
use clap::Args;
use secret_rotation::{document::DocumentError, settings::SettingsError};
use serde_json::{Value, json};

use self::{old::Old, timeline::Timeline};
use crate::{
    aws::{self, explain},
    follow::{self, Begun, Rotations},
    login::Logins,
    secrets::Strategy,
    terminal::{span, took},
};

/// After a leak: rotate, revoke the old credential, and prove that it does not work.
///
/// What is printed is the timeline for the incident report. Whoever is logged in with an old credential loses the
/// connection; an application that reads the secret anew goes on with the new one (rotating-secret does).
///
/// It needs secretsmanager:DescribeSecret, RotateSecret and GetSecretValue, kms:Decrypt on the secret's key,
/// lambda:InvokeFunction and logs:FilterLogEvents for the function, and for the proof the network to the database.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rotatectl compromised orders/db                   asks before it does anything
  rotatectl compromised orders/db --yes --json > incident.json
  rotatectl compromised orders/db --grace 2m        applications have two minutes to change over first")]
pub struct CompromisedArguments {
    /// The secret's name or ARN.
    pub secret: String,
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
    /// Print the timeline as JSON, at the end.
    #[arg(long)]
    pub json: bool,
    /// How long to wait between a rotation and the end of what came before it.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = humantime::parse_duration)]
    pub grace: Duration,
    /// Do not log in to the database: what the function says stands for the proof.
    #[arg(long)]
    pub no_login: bool,
    /// A PEM file of roots to trust for the database, beside RDS's and the public ones; without it TLS_CA_FILE.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// How long to wait for the next sign of life of a rotation.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = humantime::parse_duration)]
    pub give_up_after: Duration,
}

/// Why the leak has not ended, or is not known to have.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum Error {
    /// A service.
    #[error(transparent)]
    Aws(#[from] aws::Error),
    /// A rotation.
    #[error("{0}; what came before AWSCURRENT is not revoked yet: run the command again")]
    Rotation(#[from] follow::Error),
    /// The function did not revoke.
    #[error(
        "revokeSecret failed ({error_type}: {message}); when the cause is gone, run the command again"
    )]
    Revocation { error_type: String, message: String },
    /// A version that no login can be tried with.
    #[error("the {label} version {source}; or leave the proof out with --no-login")]
    Document {
        label: &'static str,
        source: DocumentError,
    },
    /// The settings of the login.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// It did not help.
    #[error(
        "the credential of {} that was stored before still works, for the rotation is about another one: end it with \
         ALTER ROLE … PASSWORD NULL, or delete the key at its service", .users.join(" and of ")
    )]
    StillWorks { users: Vec<String> },
    /// Nobody would get in.
    #[error(
        "AWSCURRENT does not log in: somebody has changed the password meanwhile; run rotatectl doctor"
    )]
    CurrentRejected,
    /// Nobody can be asked.
    #[error("stdin is no terminal, so nobody can be asked whether to go on: say so with --yes")]
    NobodyToAsk,
    /// The answer was no.
    #[error("nothing was done")]
    Declined,
    /// The timeline could not be written.
    #[error("the result cannot be written ({0}): check where it goes")]
    Output(#[from] io::Error),
}

/// Does it, and prints the timeline, up to where it came.
///
/// # Errors
///
/// The leak has not ended, or is not known to have; or the operator declined.
pub async fn run(
    configuration: &SdkConfig,
    arguments: CompromisedArguments,
) -> Result<ExitCode, Error> {
    let incident = Incident {
        rotations: Rotations::new(configuration, arguments.give_up_after),
        secrets: Client::new(configuration),
        lambda: Lambda::new(configuration),
        arguments,
    };
    incident.contain().await
}

struct Incident {
    arguments: CompromisedArguments,
    rotations: Rotations,
    secrets: Client,
    lambda: Lambda,
}

impl Incident {
    async fn contain(&self) -> Result<ExitCode, Error> {
        let CompromisedArguments { secret, json, .. } = &self.arguments;
        let described = self.rotations.describe(secret).await?;
        let arn = described.arn().unwrap_or(secret);
        let function = described
            .rotation_lambda_arn()
            .ok_or(follow::Error::NotSetUp)?;
        let versions = old::versions(&self.secrets, arn).await?;
        let strategy = versions
            .first()
            .map_or(Strategy::SingleUser, |current| current.strategy());
        self.confirm(described.name().unwrap_or(secret), strategy)?;

        let mut timeline = Timeline::new(arn, strategy, *json);
        let contained = self
            .rounds(arn, function, strategy, versions, &mut timeline)
            .await;
        timeline.finish()?;
        contained.map(|()| ExitCode::SUCCESS)
    }

    fn confirm(&self, name: &str, strategy: Strategy) -> Result<(), Error> {
        if self.arguments.yes {
            return Ok(());
        }
        if !io::stdin().is_terminal() {
            return Err(Error::NobodyToAsk);
        }
        let question = format!(
            "{name} ({}): replace its credential now and end all sessions of the old one, in {}?",
            strategy.name(),
            span(self.arguments.grace)
        );
        match dialoguer::Confirm::new()
            .with_prompt(question)
            .default(false)
            .interact()
        {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::Declined),
            Err(_) => Err(Error::NobodyToAsk),
        }
    }

    async fn rounds(
        &self,
        secret: &str,
        function: &str,
        strategy: Strategy,
        versions: Vec<old::Version>,
        timeline: &mut Timeline,
    ) -> Result<(), Error> {
        timeline.add(format!(
            "{secret} is treated as leaked ({})",
            strategy.name()
        ))?;
        let ca_file = self.arguments.ca_file.clone();
        let ca_file = ca_file.or_else(|| env::var_os("TLS_CA_FILE").map(PathBuf::from));
        let logins = Logins::new(ca_file)?;
        let mut old = Old::new(versions, logins, !self.arguments.no_login, timeline).await?;

        let keys = strategy == Strategy::ApiKey;
        if keys {
            self.make_room(secret, function, timeline).await?;
        }
        if self.rotate(secret, timeline).await? == Found::UnderWay {
            // its version was there before, so that it may have leaked too
            if keys {
                self.revoke(secret, function, timeline).await?;
            }
            self.rotate(secret, timeline).await?;
        }
        old.look(timeline).await?;
        self.revoke(secret, function, timeline).await?;
        old.look(timeline).await?;
        if strategy == Strategy::AlternatingUsers {
            self.rotate(secret, timeline).await?;
            self.revoke(secret, function, timeline).await?;
            old.look(timeline).await?;
        }

        let users = old.working();
        if !users.is_empty() {
            let users = users.into_iter().map(str::to_owned).collect();
            return Err(Error::StillWorks { users });
        }
        if !self.arguments.no_login {
            self.prove_current(secret, &old, timeline).await?;
        }
        timeline.conclude()?;
        Ok(())
    }

    /// The service may have no room for a further key while the one before AWSCURRENT is kept; that one has leaked, too.
    async fn make_room(
        &self,
        secret: &str,
        function: &str,
        timeline: &mut Timeline,
    ) -> Result<(), Error> {
        match self.revoke(secret, function, timeline).await {
            // the rotation under way comes first
            Err(Error::Revocation { error_type, .. }) if error_type == "RotationInFlight" => Ok(()),
            revoked => revoked,
        }
    }

    /// One rotation, to its end.
    async fn rotate(&self, secret: &str, timeline: &mut Timeline) -> Result<Found, Error> {
        let Begun::Under(rotation) = self.rotations.begin(secret, None).await? else {
            return Ok(Found::None); // it was not asked to leave a recent one alone
        };
        let found = if rotation.resumed {
            timeline.add(format!(
                "a rotation to version {} is under way: it comes to its end first",
                rotation.version
            ))?;
            Found::UnderWay
        } else {
            timeline.add(format!(
                "the rotation to version {} begins",
                rotation.version
            ))?;
            Found::None
        };
        let rotated = self.rotations.follow(&rotation, |_| {}).await?;
        timeline.add(format!(
            "version {} is AWSCURRENT, after {}",
            rotation.version,
            took(rotated.took)
        ))?;
        Ok(found)
    }

    /// Has the function end what came before AWSCURRENT.
    async fn revoke(
        &self,
        secret: &str,
        function: &str,
        timeline: &mut Timeline,
    ) -> Result<(), Error> {
        if !self.arguments.grace.is_zero() {
            let grace = span(self.arguments.grace);
            timeline.add(format!("applications have {grace} to change over"))?;
            tokio::time::sleep(self.arguments.grace).await;
        }
        let event = json!({ "Step": "revokeSecret", "SecretId": secret });
        let answer = self
            .lambda
            .invoke()
            .function_name(function)
            .payload(Blob::new(event.to_string()))
            .send()
            .await
            .map_err(|error| explain("lambda:InvokeFunction", error))?;
        let payload = answer.payload().map(Blob::as_ref).unwrap_or_default();
        let payload: Value = serde_json::from_slice(payload).unwrap_or_default();
        let text = |field: &str| payload[field].as_str().unwrap_or("unknown").to_owned();
        if answer.function_error().is_some() {
            return Err(Error::Revocation {
                error_type: text("errorType"),
                message: text("errorMessage"),
            });
        }
        let sessions = payload["sessions"].as_u64().unwrap_or_default();
        timeline.sessions_ended += sessions;
        timeline.add(format!(
            "what came before AWSCURRENT: {}, sessions ended: {sessions}",
            text("outcome")
        ))?;
        Ok(())
    }

    async fn prove_current(
        &self,
        secret: &str,
        old: &Old,
        timeline: &mut Timeline,
    ) -> Result<(), Error> {
        let versions = old::versions(&self.secrets, secret).await?;
        let Some(current) = versions.first() else {
            return Ok(());
        };
        let document = current.document()?;
        match old.accepts(&document).await {
            Some(true) => timeline.add(format!(
                "{} logs in with version {}, AWSCURRENT",
                document.username(),
                current.id
            ))?,
            Some(false) => return Err(Error::CurrentRejected),
            // the function has logged in with it, in testSecret and before it revoked
            None => {}
        }
        Ok(())
    }
}

/// Whether a rotation was there before the command.
#[derive(PartialEq)]
enum Found {
    None,
    UnderWay,
}
