//! Files that another program mounts and replaces.
#![cfg(feature = "file")]
#![cfg(test)]

mod common;

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, SystemTime},
};

use common::{HOUR, stores::text, volume::Volume};
use nix::{sys::stat::Mode, unistd::mkfifo};
use rotating_secret::{
    Error, RotatingSecret,
    provider::{File, ProviderError, ProviderErrorKind as Kind, SecretProvider, Stage},
};
use secrecy::ExposeSecret;
use serde_json::{Value as Json, json};
use tokio::time::timeout;
use tokio_stream::StreamExt;

const FOLDER: &str = "orders-db";
const DOCUMENT: &str = "orders-db/credential.json";

/// A generation of a folder whose values belong together.
fn pair(number: usize) -> [(&'static str, String); 3] {
    [
        ("host", "db.example.com\n".to_owned()),
        ("username", format!("user {number}\n")),
        ("password", format!("s3cret {number}")),
    ]
}

fn write_pair(volume: &Volume, number: usize) {
    let files = pair(number);
    volume.write(&files.each_ref().map(|(name, text)| (*name, text.as_str())));
}

fn document(password: &str) -> String {
    json!({ "host": "db", "username": "orders", "password": password }).to_string()
}

fn provider(volume: &Volume) -> File {
    File::new(volume.below())
}

/// With the ttl alone it would take hours.
async fn secret(volume: &Volume, id: &str) -> RotatingSecret {
    let builder = RotatingSecret::builder(id).ttl(12 * HOUR);
    builder.build(provider(volume)).await.unwrap()
}

async fn failure(volume: &Volume, id: &str) -> ProviderError {
    let fetched = provider(volume).fetch(id, Stage::Current).await;
    let error = fetched.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
    error
}

/// Waits until this password is current.
async fn until(secret: &RotatingSecret, password: &str) {
    loop {
        let current = secret.current().unwrap();
        if current.password().unwrap().expose_secret() == password {
            return;
        }
        secret.changed_from(current.version()).await.unwrap();
    }
}

#[tokio::test]
async fn the_files_of_a_volume_are_one_document_without_their_final_line_breaks() {
    let volume = Volume::with(&[
        ("host", "db.example.com\n"),
        ("port", "6543\r\n"),
        ("username", "orders\n"),
        ("password", " s3cret\n\n"),
        ("ssl", "false"),
    ]);
    let secret = secret(&volume, FOLDER).await;
    let credential = secret.current().unwrap();
    assert_eq!(credential.host(), Some("db.example.com"));
    assert_eq!(credential.port(), 6543);
    assert_eq!(credential.user(), Some("orders"));
    // the editor adds one line break, no more
    assert_eq!(credential.password().unwrap().expose_secret(), " s3cret\n");
    assert!(!credential.tls() && credential.wrong().is_none());
}

#[tokio::test]
async fn the_swap_of_a_volumes_link_is_seen_and_both_values_belong_to_one_generation() {
    let volume = Volume::empty();
    write_pair(&volume, 1);
    let secret = secret(&volume, FOLDER).await;
    for number in 2..5 {
        let before = secret.current().unwrap().version().to_owned();
        write_pair(&volume, number);
        let next = secret.changed_from(&before).await.unwrap();
        assert_eq!(next.user(), Some(format!("user {number}").as_str()));
        let password = next.password().unwrap().expose_secret();
        assert_eq!(password, format!("s3cret {number}"));
    }
}

#[tokio::test]
async fn a_document_in_a_volume_is_read_through_its_link_and_its_swap_is_seen() {
    let volume = Volume::with(&[("credential.json", &document("one"))]);
    let secret = secret(&volume, DOCUMENT).await;
    volume.write(&[("credential.json", &document("two"))]);
    until(&secret, "two").await;
}

#[tokio::test]
async fn after_two_rotations_in_a_row_the_last_one_is_current() {
    let volume = Volume::empty();
    write_pair(&volume, 1);
    let secret = secret(&volume, FOLDER).await;
    write_pair(&volume, 2);
    write_pair(&volume, 3);
    until(&secret, "s3cret 3").await;
}

#[tokio::test]
async fn a_change_before_the_watch_began_is_found() {
    let volume = Volume::empty();
    write_pair(&volume, 1);
    let mut changes = provider(&volume).changes(FOLDER);
    assert_eq!(changes.next().await, Some(()));
    write_pair(&volume, 2);
    assert_eq!(changes.next().await, Some(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_during_a_swap_is_complete_or_an_error_and_never_mixed() {
    let volume = Arc::new(Volume::empty());
    write_pair(&volume, 0);
    let over = Arc::new(AtomicBool::new(false));
    let writer = thread::spawn({
        let (volume, over) = (volume.clone(), over.clone());
        move || {
            let numbers = (1..).take_while(|_| !over.load(Ordering::Relaxed));
            numbers.map(|number| write_pair(&volume, number)).count()
        }
    });
    let provider = provider(&volume);
    let mut whole = 0;
    while whole < 200 {
        match provider.fetch(FOLDER, Stage::Current).await {
            Ok(version) => {
                let document: Json = serde_json::from_str(text(&version)).unwrap();
                let number = |key: &str, text: &str| {
                    let value = document[key].as_str().unwrap();
                    value.strip_prefix(text).unwrap().to_owned()
                };
                assert_eq!(number("username", "user "), number("password", "s3cret "));
                whole += 1;
            }
            Err(error) => assert_eq!(error.kind(), Kind::Unavailable, "{error}"),
        }
    }
    over.store(true, Ordering::Relaxed);
    assert!(writer.join().unwrap() > 0);
}

#[tokio::test]
async fn a_half_written_file_is_an_error_and_the_complete_file_is_read_later() {
    let volume = Volume::empty();
    let path = volume.below().join("credential.json");
    let (one, two) = (document("s3cret one"), document("s3cret two"));
    fs::write(&path, &one).unwrap();
    let secret = secret(&volume, "credential.json").await;
    for length in [0, 1, two.len() / 2, two.len() - 1] {
        fs::write(&path, &two[..length]).unwrap();
        let error = failure(&volume, "credential.json").await;
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.to_string().contains("not the whole"), "{error}");
        assert!(secret.refresh().await.is_err());
        let held = secret.current().unwrap();
        assert_eq!(held.password().unwrap().expose_secret(), "s3cret one");
    }
    fs::write(&path, &two).unwrap();
    until(&secret, "s3cret two").await;
    // the correct way: a rename
    let other = volume.below().join("next");
    fs::write(&other, document("s3cret three")).unwrap();
    fs::rename(other, &path).unwrap();
    until(&secret, "s3cret three").await;
}

#[tokio::test]
async fn a_replacement_file_of_the_same_length_and_time_is_seen() {
    let volume = Volume::empty();
    let (path, next) = (volume.below().join("orders"), volume.below().join("next"));
    let write = |path: &PathBuf, password: &str| {
        fs::write(path, document(password)).unwrap();
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    };
    write(&path, "s3cret 1");
    let secret = secret(&volume, "orders").await;
    // the first one may exist before the watch starts
    for password in ["s3cret 2", "s3cret 3"] {
        write(&next, password);
        fs::rename(&next, &path).unwrap();
        let seen = timeout(Duration::from_secs(60), until(&secret, password)).await;
        assert!(seen.is_ok(), "{password}");
    }
}

#[tokio::test]
async fn a_link_in_a_volume_that_leads_out_of_it_is_refused() {
    let volume = Volume::with(&[("username", "orders"), ("password", "s3cret")]);
    let other = volume.below().join("other");
    fs::write(&other, "s3cret of another").unwrap();
    symlink(&other, volume.path().join("..data/token")).unwrap();
    let refused = failure(&volume, FOLDER).await;
    assert_eq!(refused.kind(), Kind::Invalid);
    assert!(refused.to_string().contains("leads out"), "{refused}");
}

#[tokio::test]
async fn a_plain_folder_is_refused_and_one_behind_a_link_follows_the_swap() {
    let volume = Volume::empty();
    let folder = |name: &str, number| {
        let folder = volume.below().join(name);
        fs::create_dir(&folder).unwrap();
        for (name, text) in pair(number) {
            fs::write(folder.join(name), text).unwrap();
        }
    };
    folder("v1", 1);
    let refused = failure(&volume, "v1").await;
    assert_eq!(refused.kind(), Kind::Invalid);
    assert!(refused.to_string().contains("symbolic link"), "{refused}");

    symlink("v1", volume.below().join("current")).unwrap();
    let secret = secret(&volume, "current").await;
    folder("v2", 2);
    symlink("v2", volume.below().join("next")).unwrap();
    let below = volume.below();
    fs::rename(below.join("next"), below.join("current")).unwrap();
    until(&secret, "s3cret 2").await;
}

#[tokio::test]
async fn an_unmounted_secret_is_absent_and_is_found_once_it_is_mounted() {
    let volume = Volume::empty();
    let absent = failure(&volume, FOLDER).await;
    assert_eq!(absent.kind(), Kind::NotFound);
    assert!(absent.to_string().contains("mounted"), "{absent}");

    write_pair(&volume, 1);
    let secret = secret(&volume, FOLDER).await;
    fs::remove_dir_all(volume.path()).unwrap();
    assert!(secret.refresh().await.is_err());
    let held = secret.current().unwrap();
    assert_eq!(held.password().unwrap().expose_secret(), "s3cret 1");
    write_pair(&volume, 2);
    until(&secret, "s3cret 2").await;
}

#[tokio::test]
async fn an_unreadable_secret_is_named_and_not_quoted() {
    let volume = Volume::with(&[("username", "orders"), ("password", "s3cret")]);
    for (bytes, part) in [
        (vec![b's', 0xff, b'3'], "UTF-8"),
        (vec![b'x'; 1024 * 1024 + 1], "1 MiB"),
        (b"\"s3cret\"".to_vec(), "no JSON object"),
    ] {
        fs::write(volume.below().join("broken"), bytes).unwrap();
        let error = failure(&volume, "broken").await;
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.to_string().contains(part), "{error}");
    }
    volume.write(&[]);
    let error = failure(&volume, FOLDER).await;
    assert!(error.to_string().contains("holds no file"), "{error}");
    let error = failure(&volume, "/dev/null").await;
    assert!(error.to_string().contains("neither a file"), "{error}");
}

/// A pipe without a writer: to open it as a file waits forever.
fn pipe(path: &Path) {
    mkfifo(path, Mode::S_IRUSR).unwrap();
}

#[tokio::test]
async fn a_pipe_in_the_place_of_a_file_is_refused_and_not_read() {
    let volume = Volume::with(&[("username", "orders"), ("password", "s3cret")]);
    let data = volume.path().join("..data");
    fs::remove_file(data.join("password")).unwrap();
    pipe(&data.join("password"));
    let refused = failure(&volume, FOLDER).await;
    assert_eq!(refused.kind(), Kind::Invalid);
    assert!(refused.to_string().contains("no regular file"), "{refused}");
    pipe(&volume.below().join("pipe"));
    let refused = failure(&volume, "pipe").await;
    assert!(refused.to_string().contains("neither a file"), "{refused}");
}

#[tokio::test]
async fn a_folder_with_too_many_files_is_refused() {
    let volume = Volume::with(&[("username", "orders"), ("password", "s3cret")]);
    let data = volume.path().join("..data");
    // with the two existing ones, one too many, in the file system's order
    for number in 0..1023 {
        fs::write(data.join(format!("key {number}")), "").unwrap();
    }
    let refused = failure(&volume, FOLDER).await;
    assert_eq!(refused.kind(), Kind::Invalid);
    assert!(refused.to_string().contains("1024"), "{refused}");
    fs::remove_file(data.join("key 0")).unwrap();
    let read = provider(&volume).fetch(FOLDER, Stage::Current).await;
    let document: Json = serde_json::from_str(text(&read.unwrap())).unwrap();
    assert_eq!(document.as_object().unwrap().len(), 1024);
}

#[tokio::test]
async fn files_with_a_larger_total_size_than_any_secret_are_refused() {
    let volume = Volume::with(&[("username", "orders"), ("password", "s3cret")]);
    let data = volume.path().join("..data");
    for name in ["one", "two"] {
        fs::write(data.join(name), "x".repeat(600 * 1024)).unwrap();
    }
    let refused = failure(&volume, FOLDER).await;
    assert_eq!(refused.kind(), Kind::Invalid);
    assert!(refused.to_string().contains("1 MiB"), "{refused}");
}

#[tokio::test]
async fn a_version_depends_only_on_the_content_and_does_not_show_it() {
    let volume = Volume::empty();
    write_pair(&volume, 1);
    let provider = provider(&volume);
    let first = provider.fetch(FOLDER, Stage::Current).await.unwrap();
    write_pair(&volume, 1);
    let again = provider.fetch(FOLDER, Stage::Current).await.unwrap();
    assert_eq!(first.id, again.id);
    write_pair(&volume, 2);
    let other = provider.fetch(FOLDER, Stage::Current).await.unwrap();
    assert_ne!(first.id, other.id);
    let shown = format!("{provider:?} {first:?}");
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[tokio::test]
async fn there_is_no_pending_version() {
    let volume = Volume::empty();
    write_pair(&volume, 1);
    let pending = provider(&volume).fetch(FOLDER, Stage::Pending).await;
    assert_eq!(pending.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_was_unmounted_is_used_until_its_bound_and_the_error_names_the_path() {
    let volume = Volume::empty();
    write_pair(&volume, 1);
    let builder = RotatingSecret::builder(FOLDER).overlap_window(HOUR);
    let secret = builder.build(provider(&volume)).await.unwrap();
    fs::remove_dir_all(volume.path()).unwrap();
    tokio::time::sleep(HOUR / 2).await;
    assert!(secret.current().is_ok());
    tokio::time::sleep(HOUR / 2).await;
    let error = secret.current().unwrap_err();
    assert!(matches!(error, Error::Expired { .. }), "{error}");
    let path = volume.path().display().to_string();
    assert!(error.to_string().contains(&path), "{error}");
}
