//! The output: a line after each step, and the next steps; or one JSON object.

use std::io;

use postgres_protocol::escape::escape_identifier;
use secret_rotation::document::{Document, Strategy};
use serde::Serialize;

use super::{Tools, server, stored::Rotates};
use crate::{
    aws::function_arn,
    shell::Command,
    terminal::{hanging, print, print_json, printable, say, width},
};

/// Prints each step when it is done. With --json, prints one object at the end.
pub(super) struct Report<'a> {
    name: &'a str,
    json: bool,
}

/// The things that this run has made.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Made {
    pub(super) secret: bool,
    pub(super) role: bool,
    pub(super) rotation: bool,
}

/// The things that exist now.
#[derive(Debug, Serialize)]
pub(super) struct Done {
    arn: String,
    username: String,
    server: String,
    strategy: Strategy,
    made: Made,
    rotated_by: Option<String>,
    schedule: Option<String>,
    next: Vec<Next>,
}

/// The next steps.
#[derive(Debug, Serialize)]
struct Next {
    advice: &'static str,
    command: Command,
}

impl<'a> Report<'a> {
    pub(super) fn new(name: &'a str, json: bool) -> Self {
        Self { name, json }
    }

    pub(super) fn say(&self, line: String) -> io::Result<()> {
        match self.json {
            true => Ok(()),
            false => say(&format!("{}: {line}", self.name)),
        }
    }

    pub(super) fn end(&self, done: &Done) -> io::Result<()> {
        if self.json {
            return print_json(done);
        }
        let next = done.next.iter();
        let next = next.map(|Next { advice, command }| {
            let advice = hanging(&format!("  {advice}:"), 2, width());
            format!("\n{advice}\n    {}", command.line())
        });
        print(&format!(
            "\n{}{}",
            printable(&done.arn),
            next.collect::<String>()
        ))
    }
}

impl Done {
    pub(super) fn new(
        tools: &Tools<'_>,
        document: &Document,
        arn: String,
        made: Made,
        rotation: Option<Rotates>,
    ) -> Self {
        let mut next = vec![
            Next {
                advice: "give the role what the application needs",
                command: Command::Psql(format!(
                    "GRANT … TO {};",
                    escape_identifier(&tools.arguments.username)
                )),
            },
            Next {
                advice: "see whether all is well",
                command: tools.shell.doctor(),
            },
        ];
        if rotation.is_none() {
            let function = function_arn(&arn, "NAME");
            let rules = format!("ScheduleExpression={}", tools.arguments.schedule);
            let words = [
                "--rotation-lambda-arn",
                &function,
                "--rotation-rules",
                &rules,
                "--no-rotate-immediately",
            ];
            next.push(Next {
                advice: "turn on rotation: add the ARN to the function's deployment (SecretArns), or run",
                command: tools.shell.secrets_manager("rotate-secret", &words),
            });
        }
        let (rotated_by, schedule) = match rotation {
            None => (None, None),
            Some(rotates) => (
                Some(rotates.function),
                rotates.schedule.map(|schedule| schedule.text),
            ),
        };
        Self {
            username: document.username().to_owned(),
            server: server(document),
            strategy: document.strategy(),
            arn,
            made,
            rotated_by,
            schedule,
            next,
        }
    }
}
