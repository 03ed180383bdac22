//! A name that has several addresses, the first of which is dead.

use std::{
    io::Write,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use super::*;

const NAME: &str = "database.test";

/// The command that runs a program with another /etc/hosts.
fn wrapper() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/with_hosts.sh")
}

/// Not every machine lets a process have its own /etc/hosts.
fn may_have_hosts() -> bool {
    let mut tried = Command::new(wrapper());
    tried.env("HOSTS", "/dev/null").env("FUNCTION", "true");
    tried.status().is_ok_and(|status| status.success())
}

#[tokio::test]
async fn if_the_first_address_of_a_name_is_dead_the_next_one_is_used() {
    if !may_have_hosts() {
        // not eprintln: cargo shows that only for a test that fails
        let line =
            "skipped: a name with two addresses: no process may have its own /etc/hosts here";
        writeln!(std::io::stderr(), "{line}").unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("hosts");
    std::fs::write(
        &hosts,
        format!("127.0.0.2 {NAME}\n127.0.0.1 {NAME} localhost\n"),
    )
    .unwrap();
    let settings = Settings {
        certificate_hosts: vec!["localhost".to_owned(), NAME.to_owned()],
        ..Settings::default()
    };
    let mut options = options().own_postgres(settings);
    let function = std::mem::replace(&mut options.function, wrapper());
    for (name, path) in [("FUNCTION", function), ("HOSTS", hosts)] {
        let variable = (name.to_owned(), path.display().to_string());
        options.function_env.push(variable);
    }
    let world = start(options).await;

    // an address that drops connections: its queue is full, and nothing accepts them
    let address = (Ipv4Addr::new(127, 0, 0, 2), world.postgres().port()).into();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(address).unwrap();
    let _listener = socket.listen(1).unwrap();
    let mut queue = Vec::new();
    let while_it_takes = Duration::from_millis(500);
    while let Ok(stream) = timeout(while_it_takes, TcpStream::connect(address)).await {
        queue.push(stream.unwrap());
    }
    change_documents(&world, &json!({ "host": NAME })).await;
    for secret in [world.single_user(), world.alternating_users()] {
        let rotation = rotate(&world, secret).await;
        let attempts = rotation.attempts.len();
        assert!(rotation.succeeded && attempts == 1, "{rotation:?}");
        log_in(&world, &current(&world, secret).await)
            .await
            .unwrap();
    }
}
