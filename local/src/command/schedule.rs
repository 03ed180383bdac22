//! `local schedule`: what a world does next by itself, and its clock.

use std::{env, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use clap::Args;
use reqwest::{Client, Response};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{Error, PORT, print, printable};

/// The width of a line.
const WIDTH: usize = 80;

/// Show what a world does next by itself (rotations, deletions), and move its clock.
///
/// A rotation begins when its window opens. If the clock moves over several windows of a secret, only one rotation begins. The clock
/// moves only forwards. Programs and PostgreSQL keep the machine's time, so an overlap in PostgreSQL does not end sooner.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rotatectl local schedule                 what is due when
  rotatectl local schedule --advance 30d   what is due in 30 days begins now
  rotatectl local schedule --json          a line of JSON for each")]
pub struct ScheduleArguments {
    /// The world's address. Default: AWS_ENDPOINT_URL, or http://127.0.0.1:4599.
    #[arg(long, alias = "endpoint", value_name = "URL")]
    pub endpoint_url: Option<String>,
    /// First move the clock forwards by this time.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub advance: Option<Duration>,
    /// Print JSON, one object per line.
    #[arg(long)]
    pub json: bool,
}

#[derive(Deserialize)]
struct Moved {
    began: Vec<Value>,
}

#[derive(Deserialize)]
struct Schedule {
    now: String,
    schedule: Vec<Value>,
}

pub(super) async fn run(arguments: &ScheduleArguments) -> Result<(), Error> {
    let world = Remote::new(arguments.endpoint_url.clone())?;
    let began = match arguments.advance {
        None => Vec::new(),
        Some(advance) => {
            let advance = humantime::format_duration(advance).to_string();
            let moved: Moved = world
                .post("/_local/clock", &json!({ "advance": advance }))
                .await?;
            moved.began
        }
    };
    let Schedule { now, schedule } = world.get("/_local/schedule").await?;
    if arguments.json {
        for mut begun in began {
            (begun["event"], begun["at"]) = ("begun".into(), now.as_str().into());
            print(&begun.to_string())?;
        }
        for due in schedule {
            print(&due.to_string())?;
        }
        return Ok(());
    }
    for begun in began {
        match begun["error"].as_str() {
            None => print(&format!("begun: {}", text(&begun, "secret")))?,
            Some(error) => print(&format!("refused: {}: {error}", text(&begun, "secret")))?,
        }
    }
    print(&format!("the clock is at {}", minute(&now)))?;
    if !schedule.is_empty() {
        print(&row("AT (UTC)", "IN", "EVENT", "SECRET"))?;
    }
    for due in schedule {
        let at = text(&due, "at");
        print(&row(
            &minute(at),
            &left(&now, at),
            text(&due, "event"),
            text(&due, "secret"),
        ))?;
    }
    Ok(())
}

/// The name comes last. If it does not fit, its beginning is cut.
fn row(at: &str, left: &str, event: &str, secret: &str) -> String {
    let row = format!("{at:16}  {left:7}  {event:8}  ");
    let room = WIDTH - row.chars().count();
    let length = secret.chars().count();
    if length <= room {
        return row + secret;
    }
    let end: String = secret.chars().skip(length - (room - 1)).collect();
    format!("{row}…{end}")
}

fn text<'a>(entry: &'a Value, field: &str) -> &'a str {
    entry[field].as_str().unwrap_or_default()
}

fn minute(date: &str) -> String {
    date.get(..16).unwrap_or(date).replace('T', " ")
}

/// The remaining time: `29d 20h`, `4h 5m`, `0m`; or `late` for an event that waits for the end of a rotation.
fn left(now: &str, at: &str) -> String {
    let date = |text: &str| text.parse::<DateTime<Utc>>().ok();
    let left = date(now)
        .zip(date(at))
        .map(|(now, at)| (at - now).num_minutes());
    match left.unwrap_or_default() {
        minutes if minutes < 0 => "late".to_owned(),
        minutes if minutes < 60 => format!("{minutes}m"),
        minutes if minutes < 24 * 60 => format!("{}h {}m", minutes / 60, minutes % 60),
        minutes => format!("{}d {}h", minutes / 60 / 24, minutes / 60 % 24),
    }
}

/// A world that another process runs.
struct Remote {
    client: Client,
    endpoint: String,
}

impl Remote {
    fn new(endpoint: Option<String>) -> Result<Self, Error> {
        let from_environment = || {
            env::var("AWS_ENDPOINT_URL")
                .ok()
                .filter(|url| !url.is_empty())
        };
        let endpoint = endpoint
            .or_else(from_environment)
            .unwrap_or_else(|| format!("http://127.0.0.1:{PORT}"));
        let remote = |client| Self {
            client,
            endpoint: endpoint.clone(),
        };
        let failed = |said: String| Error::NoWorld {
            endpoint: endpoint.clone(),
            said,
        };
        // a world uses plain HTTP: no roots are trusted, and no proxy is used
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(error.to_string()))?
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .build();
        client
            .map(remote)
            .map_err(|error| failed(error.to_string()))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let request = self.client.get(self.endpoint.clone() + path);
        self.read(request.send().await).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, Error> {
        let request = self.client.post(self.endpoint.clone() + path).json(body);
        self.read(request.send().await).await
    }

    async fn read<T: DeserializeOwned>(
        &self,
        response: reqwest::Result<Response>,
    ) -> Result<T, Error> {
        let failed = |error: reqwest::Error| self.no_world(&cause(&error).to_string());
        let response = response.map_err(failed)?;
        let status = response.status();
        let body: Value = response.json().await.map_err(failed)?;
        match body["error"].as_str() {
            Some(error) if status.is_client_error() => Err(Error::Refused(printable(error))),
            _ => serde_json::from_value(body).map_err(|error| self.no_world(&error.to_string())),
        }
    }

    fn no_world(&self, said: &str) -> Error {
        Error::NoWorld {
            endpoint: self.endpoint.clone(),
            said: said.to_owned(),
        }
    }
}

/// The innermost cause, without reqwest's own text.
fn cause<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> &'a (dyn std::error::Error + 'static) {
    error.source().map_or(error, cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_fits_a_terminal_and_a_long_name_keeps_its_end() {
        let row = row(
            "2026-12-29 00:00",
            "1000d 1h",
            "rotation",
            &format!("demo/{}/db", "x".repeat(99)),
        );
        assert_eq!(row.chars().count(), WIDTH);
        assert!(row.ends_with("xx/db"), "{row}");
    }

    #[test]
    fn the_remaining_time_is_shown_in_two_units() {
        let now = "2026-11-29T03:58:30Z";
        for (at, expected) in [
            ("2026-12-29T00:00:00Z", "29d 20h"),
            ("2026-11-29T08:04:00Z", "4h 5m"),
            ("2026-11-29T03:58:31Z", "0m"),
            ("2026-11-28T00:00:00Z", "late"),
        ] {
            assert_eq!(left(now, at), expected, "{at}");
        }
    }
}
