//! A search of an application's memory during a change of password.
//!
//! The application is another process, which reads the secret as usual. The test sends it the passwords to search for in
//! masked form, so that it never finds the test's own copy. It searches its own memory: after `no_core_dumps` the kernel
//! lets no other process read it.

#![allow(dead_code, unused_imports, reason = "each test file uses its own part")]

mod application;
mod scan;

use std::{
    env, fmt,
    io::{BufRead, BufReader, Lines, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use local::{
    postgres::Settings,
    world::{Options, REGION, World},
};
use serde_json::{Value, json};

pub(crate) use application::application;
pub(crate) use scan::{Copies, Memory, Needle};

/// The results of the three searches.
pub(crate) struct Found {
    pub(crate) in_use: Look,
    pub(crate) after_the_hand_over: Look,
    pub(crate) after_the_last_handle: Look,
}

/// The copies of the password before the hand-over, and of the one after it.
pub(crate) struct Look {
    pub(crate) old: Copies,
    pub(crate) new: Copies,
}

/// Starts a world and the application, rotates, and makes the application search three times.
///
/// While the application finds a copy that should be gone, it searches again, for at most `patience`.
pub(crate) async fn hand_over(application: &str, patience: Duration) -> Found {
    // the function is never invoked
    let options = Options::new("/bin/true").own_postgres(Settings::default());
    let world = World::start(options).await.unwrap();
    let secret = world.single_user();
    let mut document = document(&world, secret).await;
    let old = document["password"].as_str().unwrap().to_owned();
    let new: String = old.chars().rev().collect();
    assert_ne!(old, new);

    let mut application = Application::start(&world, secret, application, patience);
    let in_use = application.asked_for(&old, &new);
    let user = document["username"].as_str().unwrap();
    let superuser = world.postgres();
    superuser
        .execute(&format!("ALTER ROLE {user} PASSWORD '{new}'"))
        .await
        .unwrap();
    document["password"] = new.as_str().into();
    let input = json!({ "SecretId": secret, "SecretString": document.to_string() });
    let service = world.secrets_manager();
    service.call("PutSecretValue", input).await.unwrap();
    let after_the_hand_over = application.asked_for(&old, &new);
    let after_the_last_handle = application.asked_for(&old, &new);
    Found {
        in_use,
        after_the_hand_over,
        after_the_last_handle,
    }
}

async fn document(world: &World, secret: &str) -> Value {
    let service = world.secrets_manager();
    let stored = service
        .call("GetSecretValue", json!({ "SecretId": secret }))
        .await
        .unwrap();
    serde_json::from_str(stored["SecretString"].as_str().unwrap()).unwrap()
}

/// The other process, which runs this program too.
struct Application {
    process: Child,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Application {
    fn start(world: &World, secret: &str, test: &str, patience: Duration) -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--ignored", "--nocapture"])
            .env("SECRET", secret)
            .env("CA_FILE", world.postgres().ca_file())
            .env("PATIENCE_MS", patience.as_millis().to_string())
            .env("AWS_ENDPOINT_URL", world.endpoint())
            .env("AWS_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", "any")
            .env("AWS_SECRET_ACCESS_KEY", "any")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let questions = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap()).lines();
        Self {
            process,
            questions,
            answers,
        }
    }

    /// Makes it go on and search.
    fn asked_for(&mut self, old: &str, new: &str) -> Look {
        let [old, new] = [old, new].map(|password| Needle::of(password.bytes()).written());
        writeln!(self.questions, "{old} {new}").unwrap();
        // between the lines are the test harness's own
        let answer = self.answers.find_map(|line| {
            let found: [Copies; 2] = serde_json::from_str(&line.unwrap()).ok()?;
            Some(found)
        });
        let Some([old, new]) = answer else {
            panic!(
                "the application has ended: {}",
                self.process.wait().unwrap()
            );
        };
        Look { old, new }
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (when, look) in [
            ("in use", &self.in_use),
            ("after the hand-over", &self.after_the_hand_over),
            ("after the last handle", &self.after_the_last_handle),
        ] {
            for (which, copies) in [("old", &look.old), ("new", &look.new)] {
                writeln!(f, "{when}, the {which} password: {copies}")?;
            }
        }
        Ok(())
    }
}
