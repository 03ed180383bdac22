//! Which versions log in, and which must.

use postgres_protocol::escape::escape_identifier;
use secrecy::ExposeSecret;
use secret_rotation::{document::Document, engine::postgres::Session};

use super::{
    finding::{Cure, Repair, Verdict},
    pending::Logins,
    versions::{Answer, Said, Value},
};
use crate::shell::{Command, Shell};

/// What is known about a rejected AWSCURRENT, besides the server's answer.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The reason, if the database's catalogs show it.
    pub(super) why: Option<&'static str>,
    /// A version without a label that logs in, and the AWSCURRENT version.
    pub(super) unlabelled: Option<(String, String)>,
}

/// The verdict on the version that applications read.
pub(super) fn current(
    document: &Document,
    answer: &Answer,
    logins: Logins,
    in_flight: bool,
    known: &Known,
    secret_arn: &str,
    shell: &Shell,
) -> Verdict {
    let user = document.username();
    let what = match answer {
        Answer::LogsIn(session) if session.is_standby() => {
            let what = format!("logs in as {user}, on a standby, which is read-only");
            let advice =
                "store the writer's address as \"rotationhost\" in the secret, or as its host";
            return Verdict::wrong(what, Cure::advice(advice));
        }
        Answer::LogsIn(_) => return Verdict::ok(format!("logs in as {user}")),
        Answer::Wrong(why) => return Verdict::wrong(why, Cure::default()),
        Answer::Unknown(why) => return Verdict::unknown(why, Cure::default()),
        Answer::Rejected => match known.why {
            None => format!("the server rejects {user} and its password (28P01)"),
            Some(why) => format!("the server rejects {user} and its password (28P01): {why}"),
        },
    };
    if let Some((version, current)) = &known.unlabelled {
        let advice = format!("version {version}, which has no label, logs in; make it AWSCURRENT:");
        let words = [
            "--version-stage",
            "AWSCURRENT",
            "--move-to-version-id",
            version,
            "--remove-from-version-id",
            current,
        ];
        let moved = shell.secrets_manager("update-secret-version-stage", &words);
        return Verdict::wrong(what, Cure::advice(advice).command(moved));
    }
    match (logins.pending, logins.previous) {
        (Said::LogsIn, _) if in_flight => {
            let advice = "AWSPENDING logs in, and becomes AWSCURRENT in a moment";
            Verdict::warning(what, Cure::advice(advice))
        }
        (Said::LogsIn, _) => {
            let advice = "AWSPENDING has the password that the database has: see labels";
            Verdict::wrong(what, Cure::advice(advice))
        }
        (Said::Rejected, Said::LogsIn) => {
            let advice = "AWSPREVIOUS logs in, and a rotation can use it (if AWSPENDING is left over, see labels first):";
            let rotate = shell.secrets_manager("rotate-secret", &[]);
            Verdict::wrong(what, Cure::advice(advice).command(rotate))
        }
        (Said::Rejected, Said::Rejected) => {
            let what =
                format!("{what}, and no other version logs in: the password was changed by hand");
            Verdict::wrong(what, changed_by_hand(document, secret_arn, shell))
        }
        (Said::Unknown, _) | (_, Said::Unknown) => Verdict::wrong(
            what,
            Cure::advice("see below why the other versions were not tried"),
        ),
    }
}

fn changed_by_hand(document: &Document, secret_arn: &str, shell: &Shell) -> Cure {
    match document.administrator() {
        Some(administrator) => {
            let advice = "set the stored password again, as the administrator; doctor asks first:";
            Cure::advice(advice)
                .command(shell.repair())
                .repair(Repair::Restore {
                    administrator: administrator.to_owned(),
                    document: copy(document),
                })
        }
        None => store_what_the_database_has(document, secret_arn, shell),
    }
}

/// Advice for a credential that the administrator cannot repair. The operator types the password. It goes only to Secrets Manager and the
/// server.
pub(super) fn store_what_the_database_has(
    document: &Document,
    secret_arn: &str,
    shell: &Shell,
) -> Cure {
    let advice = "if nobody knows the password that the database has now, set one as a superuser in psql; then store it with doctor, \
        which asks for it, tests it, and does not show it:";
    Cure::advice(advice)
        .command(Command::Psql(format!(
            "\\password {}",
            escape_identifier(document.username())
        )))
        .command(shell.repair())
        .repair(Repair::Store {
            secret: secret_arn.to_owned(),
            document: copy(document),
        })
}

pub(super) fn copy(document: &Document) -> Box<Document> {
    Box::new(document.with_password(document.password().clone()))
}

/// How the server stores a password that is set by hand. The function always sends a SCRAM verifier.
pub(super) async fn hashing(session: Option<&Session>) -> Verdict {
    let Some(session) = session else {
        return Verdict::skipped("no version logs in");
    };
    match session.hashing().await {
        Ok(hashing) if hashing == "scram-sha-256" => {
            Verdict::ok("the server stores passwords as scram-sha-256")
        }
        Ok(hashing) => {
            let what = format!(
                "the server hashes a password that is set by hand with {hashing}; the function sets SCRAM verifiers"
            );
            let advice = "change the server's setting (on RDS, in the parameter group):";
            let set = "ALTER SYSTEM SET password_encryption = 'scram-sha-256';";
            let cure = Cure::advice(advice)
                .command(Command::Psql(set.to_owned()))
                .command(Command::Psql(
                    "SELECT pg_catalog.pg_reload_conf();".to_owned(),
                ));
            Verdict::warning(what, cure)
        }
        Err(error) => {
            Verdict::unknown(format!("the server did not say ({error})"), Cure::default())
        }
    }
}

/// The verdict on the version that a rotation makes. The labels show whether it may exist.
pub(super) fn pending(answer: &Answer) -> Verdict {
    match answer {
        Answer::LogsIn(_) => Verdict::ok("logs in: the database has its password"),
        Answer::Rejected => Verdict::ok("does not log in: the database does not have its password"),
        Answer::Wrong(why) => Verdict::warning(why, Cure::default()),
        Answer::Unknown(why) => Verdict::unknown(why, Cure::default()),
    }
}

/// The verdict on the version before AWSCURRENT. It may log in or not. But a rotation that needs it must be able to read it.
pub(super) fn previous(current: &Document, value: &Value, answer: &Answer) -> Verdict {
    if let Value::Document(previous) = value
        && previous.username() == current.username()
        && previous.password().expose_secret() == current.password().expose_secret()
    {
        return Verdict::ok("holds the same password as AWSCURRENT");
    }
    match (answer, current.takes_turns()) {
        (Answer::LogsIn(_), true) => Verdict::ok("still logs in, until its overlap window ends"),
        (Answer::LogsIn(_), false) => {
            let advice =
                "the database was restored, or the labels were moved; the next rotation ends it";
            Verdict::warning(
                "logs in, although a single user has no overlap",
                Cure::advice(advice),
            )
        }
        (Answer::Rejected, true) => Verdict::ok("no longer logs in: its overlap window has ended"),
        (Answer::Rejected, false) => Verdict::ok("no longer logs in: a single user has no overlap"),
        (Answer::Wrong(why), _) => Verdict::warning(why, Cure::default()),
        (Answer::Unknown(why), _) => Verdict::unknown(why, Cure::default()),
    }
}
