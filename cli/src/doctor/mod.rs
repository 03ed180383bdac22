//! `rotatectl doctor`: everything that can be wrong with a secret's rotation, each line ok or what to do.
//!
//! | file | what |
//! |---|---|
//! | `finding` | a line of the report |
//! | `service` | rotation, tags and the key, as DescribeSecret tells them |
//! | `function`, `policy` | the rotation function, and who may invoke it |
//! | `versions` | the secret's versions, and what the server says to them |
//! | `network`, `certificate` | the way to the server |
//! | `logins`, `pending` | which versions have to log in; the labels, and what is left over |
//! | `administrator`, `clients` | rights; lifetimes against the overlap window |
//! | `shell`, `repair` | commands to be run, and what `--repair` does |
//!
//! Documents, logins and rights are judged by the function's own code: what is said here is what a rotation will say.
//! Nothing is changed without `--repair`, and no password is printed or taken from the command line.

mod administrator;
mod certificate;
mod clients;
mod finding;
mod function;
mod logins;
mod network;
mod pending;
mod policy;
mod repair;
mod service;
mod shell;
mod versions;

use std::{env, path::PathBuf, process::ExitCode, time::SystemTime};

use aws_config::SdkConfig;
use secret_rotation::{
    document::Document,
    settings::Settings,
    target::postgres::{Kept, Limits, Postgres, Roots},
};
use serde_json::json;

pub use self::repair::Error as RepairError;
use self::{
    finding::{Cure, Finding, Verdict},
    network::PATIENCE,
    pending::{Labels, Logins},
    repair::Tools,
    shell::Shell,
    versions::{Answer, Said, Value},
};
use crate::{
    Error,
    arguments::{AwsArguments, DoctorArguments},
    aws::explain,
    terminal::{print, print_json, tell},
};

/// More repairs than can follow from one another.
const MOST_REPAIRS: usize = 4;

/// Examines the secret, offers what can be mended if that is asked for, and reports.
///
/// # Errors
///
/// The secret cannot be described, or a repair fails.
pub async fn run(
    arguments: &DoctorArguments,
    aws: &AwsArguments,
    configuration: &SdkConfig,
) -> Result<ExitCode, Error> {
    let ca_file = arguments.ca_file.clone().or_else(|| {
        let named = env::var_os("TLS_CA_FILE").filter(|file| !file.is_empty());
        named.map(PathBuf::from)
    });
    let doctor = Doctor {
        secrets: aws_sdk_secretsmanager::Client::new(configuration),
        lambda: aws_sdk_lambda::Client::new(configuration),
        secret: &arguments.secret,
        shell: Shell::new(&arguments.secret, arguments.ca_file.as_deref(), aws),
        roots: Roots::new(ca_file),
        kept: Kept::default(),
    };
    let mut report = doctor.examine().await?;
    for _ in 0..MOST_REPAIRS {
        let repair = report.findings.iter().find_map(Finding::repair);
        let Some(repair) = repair.filter(|_| arguments.repair) else {
            break;
        };
        if !arguments.json {
            report.print()?;
        }
        let tools = Tools {
            client: &doctor.secrets,
            secret: doctor.secret,
            postgres: doctor.postgres(&report.settings),
            yes: arguments.yes,
        };
        let Some(done) = repair.offer(&tools).await? else {
            return Ok(report.exit_code());
        };
        tell(&format!("{done}\n"));
        report = doctor.examine().await?;
    }
    if arguments.json {
        report.print_json()?;
    } else {
        report.print()?;
    }
    Ok(report.exit_code())
}

/// What is asked, and whom.
struct Doctor<'a> {
    secrets: aws_sdk_secretsmanager::Client,
    lambda: aws_sdk_lambda::Client,
    secret: &'a str,
    shell: Shell,
    roots: Roots,
    kept: Kept,
}

/// What was found.
struct Report {
    secret: String,
    findings: Vec<Finding>,
    /// The function's, or the usual ones where they cannot be read.
    settings: Settings,
}

impl Doctor<'_> {
    async fn examine(&self) -> Result<Report, Error> {
        let now = SystemTime::now();
        let described = self.secrets.describe_secret().secret_id(self.secret);
        let secret = described.send().await;
        let secret = secret.map_err(|error| explain("secretsmanager:DescribeSecret", error))?;
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

        let by_label = service::labels(&secret);
        let current = by_label.get("AWSCURRENT").copied();
        let elsewhere = |label| {
            by_label
                .get(label)
                .copied()
                .filter(|id| Some(*id) != current)
        };
        let labels = Labels {
            current,
            pending: elsewhere("AWSPENDING"),
            previous: by_label.get("AWSPREVIOUS").copied(),
            changed: service::time(secret.last_changed_date()),
        };
        let read = async |id: Option<&str>, label| {
            Some(Value::read(&self.secrets, self.secret, id?, label).await)
        };
        let versions = Versions {
            current: read(current, "AWSCURRENT").await,
            pending: read(labels.pending, "AWSPENDING").await,
            previous: read(elsewhere("AWSPREVIOUS"), "AWSPREVIOUS").await,
        };
        let value = versions.current.as_ref();
        let unread = match value {
            Some(Value::Unread(error)) => Err(error),
            _ => Ok(()),
        };
        findings.push(Finding::new("key", service::key(&secret, unread)));
        findings.push(Finding::new("document", document(value)));

        let unknown = Logins {
            current: Said::Unknown,
            pending: Said::Unknown,
            previous: Said::Unknown,
        };
        if let Some(Value::Document(document)) = value {
            let postgres = self.postgres(&settings);
            let server = Server {
                doctor: self,
                postgres: &postgres,
                document,
                arn,
            };
            if server.is_reached(&mut findings, now).await {
                let logins = server.log_in(&mut findings, &versions).await;
                let verdict = pending::labels(&labels, logins.said(), &self.shell, now);
                findings.push(Finding::new("labels", verdict));
                server.ask(&mut findings, &logins).await;
                drop(logins);
                postgres.disconnect().await;
            } else {
                let why = "the server was not reached";
                findings.extend(Finding::skipped(&["AWSCURRENT", "AWSPREVIOUS"], why));
                let verdict = pending::labels(&labels, unknown, &self.shell, now);
                findings.push(Finding::new("labels", verdict));
                findings.extend(Finding::skipped(&["hashing", "administrator"], why));
            }
            let lifetime = clients::lifetime(secret.tags(), document, known.as_ref());
            findings.push(Finding::new("clients", lifetime));
        } else {
            let verdict = pending::labels(&labels, unknown, &self.shell, now);
            findings.push(Finding::new("labels", verdict));
            let rest = [
                "name",
                "connection",
                "certificate",
                "AWSCURRENT",
                "AWSPREVIOUS",
                "hashing",
                "administrator",
                "clients",
            ];
            findings.extend(Finding::skipped(&rest, "it takes AWSCURRENT's document"));
        }
        Ok(Report {
            secret: arn.to_owned(),
            findings,
            settings,
        })
    }

    fn postgres<'a>(&'a self, settings: &'a Settings) -> Postgres<'a> {
        let limits = Limits {
            connect: PATIENCE,
            statement: PATIENCE,
        };
        Postgres::new(&self.roots, &self.kept, settings, limits)
    }
}

fn document(value: Option<&Value>) -> Verdict {
    match value {
        Some(Value::Document(document)) => {
            let strategy = match document.administrator() {
                Some(administrator) => {
                    format!("two users take turns, administrator {administrator}")
                }
                None => "single user".to_owned(),
            };
            let (user, host, port) = (document.username(), document.host(), document.port());
            Verdict::ok(format!(
                "{user} on {host}:{port}/{}, {strategy}",
                document.dbname()
            ))
        }
        Some(Value::Invalid(error)) => {
            Verdict::wrong(format!("AWSCURRENT {error}"), Cure::default())
        }
        Some(Value::Binary) => {
            let advice = "store the JSON document as SecretString, with put-secret-value --secret-string file://…";
            Verdict::wrong("AWSCURRENT holds SecretBinary", Cure::advice(advice))
        }
        Some(Value::Unread(error)) => Verdict::wrong(error.to_string(), Cure::default()),
        Some(Value::None) | None => Verdict::skipped("no version is AWSCURRENT"),
    }
}

/// AWSPENDING only where it is on another version than AWSCURRENT, AWSPREVIOUS likewise.
struct Versions {
    current: Option<Value>,
    pending: Option<Value>,
    previous: Option<Value>,
}

struct Answers {
    current: Answer,
    pending: Option<Answer>,
    previous: Option<Answer>,
}

impl Answers {
    fn said(&self) -> Logins {
        let said = |answer: &Option<Answer>| answer.as_ref().map_or(Said::Rejected, Answer::said);
        Logins {
            current: self.current.said(),
            pending: said(&self.pending),
            previous: said(&self.previous),
        }
    }

    /// Whichever version's logs in.
    fn proven(&self) -> Option<&secret_rotation::target::postgres::Session> {
        let others = [&self.pending, &self.previous];
        let answers = [Some(&self.current)]
            .into_iter()
            .chain(others.map(Option::as_ref));
        answers.flatten().find_map(Answer::session)
    }
}

/// The server that AWSCURRENT names.
struct Server<'a> {
    doctor: &'a Doctor<'a>,
    postgres: &'a Postgres<'a>,
    document: &'a Document,
    arn: &'a str,
}

impl Server<'_> {
    /// Name, connection, certificate: each needs the one before.
    async fn is_reached(&self, findings: &mut Vec<Finding>, now: SystemTime) -> bool {
        let shell = &self.doctor.shell;
        let name = Finding::new("name", network::name(self.document, shell).await);
        if name.is_wrong() {
            findings.push(name);
            let rest = ["connection", "certificate"];
            findings.extend(Finding::skipped(&rest, "the host's address is not known"));
            return false;
        }
        let connection = Finding::new(
            "connection",
            network::connection(self.document, shell).await,
        );
        findings.push(name);
        if connection.is_wrong() {
            findings.push(connection);
            findings.extend(Finding::skipped(&["certificate"], "nobody answers"));
            return false;
        }
        findings.push(connection);
        let verdict = certificate::examine(self.document, &self.doctor.roots, now).await;
        let certificate = Finding::new("certificate", verdict);
        let holds = !certificate.is_wrong();
        findings.push(certificate);
        holds
    }

    async fn log_in(&self, findings: &mut Vec<Finding>, versions: &Versions) -> Answers {
        let log_in = async |value: &Option<Value>| {
            Some(value.as_ref()?.log_in(self.postgres, self.document).await)
        };
        let answers = Answers {
            current: versions::log_in(self.postgres, self.document).await,
            pending: log_in(&versions.pending).await,
            previous: log_in(&versions.previous).await,
        };
        let said = answers.said();
        let shell = &self.doctor.shell;
        let current = logins::current(self.document, &answers.current, said, self.arn, shell);
        findings.push(Finding::new("AWSCURRENT", current));
        if let Some(answer) = &answers.pending {
            findings.push(Finding::new("AWSPENDING", logins::pending(answer)));
        }
        if let Some(answer) = &answers.previous {
            let verdict = logins::previous(self.document, answer);
            findings.push(Finding::new("AWSPREVIOUS", verdict));
        }
        answers
    }

    async fn ask(&self, findings: &mut Vec<Finding>, logins: &Answers) {
        let proven = logins.proven();
        findings.push(Finding::new("hashing", logins::hashing(proven).await));
        let (client, shell) = (&self.doctor.secrets, &self.doctor.shell);
        let rights =
            administrator::rights(client, self.postgres, proven, self.document, shell).await;
        findings.push(Finding::new("administrator", rights));
    }
}

impl Report {
    fn exit_code(&self) -> ExitCode {
        if self.findings.iter().any(Finding::is_wrong) {
            ExitCode::from(2)
        } else {
            ExitCode::SUCCESS
        }
    }

    fn print(&self) -> Result<(), Error> {
        let lines: Vec<String> = self.findings.iter().map(Finding::lines).collect();
        Ok(print(&lines.join("\n"))?)
    }

    fn print_json(&self) -> Result<(), Error> {
        let ok = !self.findings.iter().any(Finding::is_wrong);
        let report = json!({ "secret": self.secret, "ok": ok, "findings": self.findings });
        Ok(print_json(&report)?)
    }
}
