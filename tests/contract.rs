//! The client reads what the function writes.

#![cfg(test)]

mod common;

use std::{str::FromStr, time::Duration};

use common::{options_with, rotate, start, stored};
use local::world::World;
use rotating_secret::{
    RotatingSecret,
    postgres::connect,
    provider::{Aws, Fixed, Stage, Version},
};
use rotating_secret_document::{Document, Overlap, table::ROWS};
use secrecy::ExposeSecret;
use serde_json::Value;
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

const WINDOW: Overlap = Overlap::Bounded(Duration::from_secs(90));

async fn secret(world: &World, id: &str) -> RotatingSecret {
    RotatingSecret::builder(id)
        .build(Aws::from_clients([world.aws()]))
        .await
        .unwrap()
}

#[tokio::test]
async fn every_field_of_a_rotated_secret_is_read_as_it_was_written() {
    let world = start(options_with(&[("OVERLAP_WINDOW", "90s")])).await;
    for id in [world.single_user(), world.alternating_users()] {
        assert!(rotate(&world, id).await.succeeded);
        let secret = secret(&world, id).await;
        let read = secret.current().unwrap();
        let text = stored(world.secrets_manager(), id, "AWSCURRENT")
            .await
            .unwrap();
        let written: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read.host(), written["host"].as_str());
        assert_eq!(u64::from(read.port()), written["port"].as_u64().unwrap());
        assert_eq!(read.user(), written["username"].as_str());
        assert_eq!(
            read.password().map(ExposeSecret::expose_secret),
            written["password"].as_str()
        );
        assert_eq!(read.database(), written["dbname"].as_str());
        assert_eq!((read.tls(), read.stage()), (true, Stage::Current));
        assert_eq!(read.text().unwrap().expose_secret(), text);
    }
}

#[tokio::test]
async fn the_client_keeps_within_the_overlap_window_that_the_function_announces() {
    let world = start(options_with(&[("OVERLAP_WINDOW", "90s")])).await;
    let (single, alternating) = (world.single_user(), world.alternating_users());
    for (id, announced) in [(alternating, Some(Duration::from_secs(90))), (single, None)] {
        assert!(rotate(&world, id).await.succeeded);
        assert_eq!(
            secret(&world, id).await.current().unwrap().overlap_window(),
            announced
        );
    }
}

#[tokio::test]
async fn a_password_with_any_characters_logs_in() {
    // punctuation alone, and so much that each character occurs
    let punctuation = options_with(&[
        ("EXCLUDE_CHARACTERS", ""),
        ("EXCLUDE_LOWERCASE", "true"),
        ("EXCLUDE_UPPERCASE", "true"),
        ("EXCLUDE_NUMBERS", "true"),
        ("PASSWORD_LENGTH", "128"),
    ]);
    let world = start(punctuation).await;
    let id = world.single_user();
    let secret = secret(&world, id).await;
    let mut seen = String::new();
    for _ in 0..8 {
        assert!(rotate(&world, id).await.succeeded);
        let credential = secret.refresh().await.unwrap();
        seen.push_str(credential.password().unwrap().expose_secret());
        connect(&secret, world.tls().unwrap()).await.unwrap();
        let url = credential.url().unwrap();
        let options = PgConnectOptions::from_str(url.expose_secret()).unwrap();
        let options = options.ssl_root_cert(world.postgres().ca_file());
        PgConnection::connect_with(&options).await.unwrap();
    }
    for special in ['\\', '"', '\'', '@', '/', ':'] {
        assert!(
            seen.contains(special),
            "{special} is in none of 8 passwords"
        );
    }
}

#[tokio::test]
async fn every_document_that_the_function_writes_back_is_read_by_the_client() {
    let rows = ROWS.iter().filter_map(|row| Some((row, row.reading.ok()?)));
    for (row, read) in rows {
        let current = Document::parse(&row.text.into()).unwrap();
        let next = current.with_user(current.next_user(), "n3w p@ss/word\"".into(), WINDOW);
        let provider = Fixed::new().with("secret", Version::text("1", next.to_json()));
        let secret = RotatingSecret::builder("secret").build(provider).await;
        let credential = secret.unwrap().current().unwrap();
        assert_eq!(credential.host(), Some(read.host), "{}", row.what);
        assert_eq!(credential.port(), read.port, "{}", row.what);
        assert_eq!(
            credential.user(),
            Some(&*current.next_user()),
            "{}",
            row.what
        );
        let password = credential.password().unwrap().expose_secret();
        assert_eq!(password, "n3w p@ss/word\"", "{}", row.what);
        assert_eq!(credential.database(), Some(read.database), "{}", row.what);
        assert_eq!(credential.tls(), read.tls, "{}", row.what);
        assert_eq!(
            credential.overlap_window(),
            Some(Duration::from_secs(90)),
            "{}",
            row.what
        );
    }
}
