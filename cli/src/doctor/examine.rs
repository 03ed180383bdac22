//! The order of the checks: each check comes after the checks that it needs.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use secret_rotation::{
    engine::{
        Disconnect, Limits,
        api_key::{ApiKey, Https},
        postgres::{Kept, Postgres, Roots},
    },
    settings::Settings,
};

use super::{
    Error, Report,
    api_key::Service,
    certificate::Trust,
    clients,
    finding::{Cure, Finding, Verdict},
    function,
    labels::Labels,
    log,
    network::PATIENCE,
    pending::{Logins, labels},
    schedule::schedule,
    server::Server,
    service,
    versions::{Value, Versions},
};
use crate::{secrets, shell::Shell};

const LIMITS: Limits = Limits {
    step: PATIENCE.saturating_mul(3),
    connect: PATIENCE,
    statement: PATIENCE,
};

/// The clients of the services, and the parameters of the checks.
pub(super) struct Doctor<'a> {
    pub(super) secrets: aws_sdk_secretsmanager::Client,
    pub(super) lambda: aws_sdk_lambda::Client,
    pub(super) configuration: &'a SdkConfig,
    pub(super) secret: &'a str,
    pub(super) shell: Shell,
    /// After this long without a change, a rotation is over.
    pub(super) patience: Duration,
    pub(super) roots: Roots,
    pub(super) https: Https,
    pub(super) kept: Kept,
}

impl Doctor<'_> {
    pub(super) async fn examine(&self) -> Result<Report, Error> {
        let now = SystemTime::now();
        let secret = secrets::describe(&self.secrets, self.secret).await?;
        let arn = secret.arn().unwrap_or(self.secret);

        let rotation = service::rotation(&secret, &self.shell, now);
        let mut findings = vec![Finding::new("rotation", rotation)];
        let function = secret.rotation_lambda_arn();
        let (of_function, known) =
            function::examine(&self.lambda, function, arn, &self.shell).await;
        findings.extend(of_function);
        findings.push(Finding::new("tags", service::tags(&secret, &self.shell)));
        let settings = match &known {
            Some(settings) => settings.clone(),
            None => Settings::read(|_| None)?,
        };

        let placed = Labels::of(&secret, self.patience);
        findings.push(Finding::new(
            "log",
            log::examine(self.configuration, &secret, placed.pending, now).await,
        ));
        let versions = Versions::read(&self.secrets, self.secret, &placed).await;
        findings.push(Finding::new(
            "key",
            service::key(&secret, versions.unread()),
        ));
        findings.push(Finding::new(
            "document",
            document(versions.current.as_ref()),
        ));
        if let Some(Value::Document(document)) = &versions.current
            && document.api().is_some()
        {
            // a document can name any host: doctor contacts only the function's ALLOWED_HOSTS
            match &known {
                Some(settings) => {
                    let service = Service {
                        client: &self.secrets,
                        engine: ApiKey::new(&self.https, settings, LIMITS),
                        document,
                        listed: &settings.administrators,
                        shell: &self.shell,
                    };
                    findings.extend(service.examine(&versions, &placed, now).await);
                }
                None => {
                    let why = "the function's ALLOWED_HOSTS cannot be read, so no service is asked";
                    findings.extend(Finding::skipped(&Service::CHECKS, why));
                    let verdict = labels(&placed, Logins::UNKNOWN, &self.shell, now);
                    findings.push(Finding::new("labels", verdict));
                }
            }
            let lifetime = clients::lifetime(secret.tags(), document, known.as_ref());
            findings.push(Finding::new("clients", lifetime));
        } else if let Some(Value::Document(document)) = &versions.current {
            let postgres = self.postgres(&settings);
            let server = Server {
                client: &self.secrets,
                postgres: &postgres,
                roots: &self.roots,
                trust: self.trust(known.as_ref()),
                document,
                listed: &settings.administrators,
                secret_arn: arn,
                shell: &self.shell,
            };
            findings.extend(server.examine(&versions, &placed, now).await);
            postgres.disconnect().await;
            let lifetime = clients::lifetime(secret.tags(), document, known.as_ref());
            findings.push(Finding::new("clients", lifetime));
            let verdict = schedule(&secret, document, known.as_ref(), &self.shell);
            findings.extend(verdict.map(|verdict| Finding::new("schedule", verdict)));
        } else {
            let why = "the document of AWSCURRENT cannot be used";
            findings.extend(Finding::skipped(&Server::CHECKS, why));
            let verdict = labels(&placed, Logins::UNKNOWN, &self.shell, now);
            findings.push(Finding::new("labels", verdict));
            findings.extend(Finding::skipped(&["clients"], why));
        }
        Ok(Report {
            secret: arn.to_owned(),
            findings,
            settings,
        })
    }

    /// The roots that are trusted here, compared with the function's.
    fn trust(&self, function: Option<&Settings>) -> Trust {
        let has_none = |settings: &Settings| settings.tls_ca_file.is_none();
        if function.is_some_and(has_none) {
            Trust::Known
        } else {
            Trust::Unknown
        }
    }

    pub(super) fn postgres<'a>(&'a self, settings: &'a Settings) -> Postgres<'a> {
        Postgres::new(&self.roots, &self.kept, settings, LIMITS)
    }
}

fn document(value: Option<&Value>) -> Verdict {
    match value {
        Some(Value::Document(document)) => {
            let (user, server) = (document.username(), document.server());
            let administrator = document.administrator();
            let Some(login) = document.login() else {
                let master = administrator.unwrap_or_default();
                return Verdict::ok(format!("key {user} of {server}, master secret {master}"));
            };
            let strategy = match document.takes_turns() {
                true => "two users take turns",
                false => "single user",
            };
            let administrator = administrator.map(|secret| format!(", administrator {secret}"));
            let administrator = administrator.unwrap_or_default();
            let what = format!(
                "{user} on {server}/{}, {strategy}{administrator}",
                login.dbname()
            );
            match document.ignored() {
                [] => Verdict::ok(what),
                keys => {
                    let keys = keys.join(" and ");
                    let advice =
                        "rename the key if it belongs to the application and not to this function";
                    Verdict::warning(
                        format!(
                            "{what}; its {keys} has no meaning for a single user and is ignored"
                        ),
                        Cure::advice(advice),
                    )
                }
            }
        }
        Some(Value::Invalid(error)) => {
            Verdict::wrong(format!("AWSCURRENT {error}"), Cure::default())
        }
        Some(Value::Binary) => {
            let advice = "store the JSON document as SecretString, with put-secret-value --secret-string file://…";
            Verdict::wrong(
                "AWSCURRENT has SecretBinary that is not text",
                Cure::advice(advice),
            )
        }
        Some(Value::Unread(_)) => Verdict::skipped("the value cannot be read here, see key"),
        Some(Value::None) | None => Verdict::skipped("no version is AWSCURRENT"),
    }
}

#[cfg(test)]
mod tests {
    use rotating_secret_document::table::ROWS;

    use super::*;

    #[test]
    fn every_document_of_the_table_is_shown_as_the_function_reads_it() {
        for row in ROWS {
            let verdict = document(Some(&Value::of(&row.text.into())));
            let what = verdict.what();
            match row.reading {
                Ok(read) => {
                    let server = match read.host.contains(':') {
                        true => format!("[{}]:{}", read.host, read.port),
                        false => format!("{}:{}", read.host, read.port),
                    };
                    let told = format!("{} on {server}/{}, ", read.user, read.database);
                    assert!(what.starts_with(&told), "{}: {what}", row.what);
                }
                Err(_) => assert!(what.starts_with("AWSCURRENT "), "{}: {what}", row.what),
            }
            assert!(!what.contains("s3cret"), "{what}");
        }
    }
}
