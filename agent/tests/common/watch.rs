//! A program that waits for changes by server-sent events.

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Agent, token};

/// A stream of events.
pub(crate) struct Events {
    stream: TcpStream,
    pub(crate) head: String,
    /// All that came after the head.
    pub(crate) text: String,
    read: usize,
}

/// An event of a stream.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) data: Value,
}

impl Events {
    pub(crate) async fn open(agent: &Agent, secret: &str) -> Self {
        let events = Self::open_with(agent, secret, &token()).await;
        assert!(events.head.starts_with("HTTP/1.1 200"), "{}", events.head);
        events
    }

    pub(crate) async fn open_with(agent: &Agent, secret: &str, headers: &str) -> Self {
        let mut stream = agent.connect().await;
        let request = format!(
            "GET /rotating-secret/changes?secretId={secret} HTTP/1.1\r\nHost: localhost\r\n\
             Accept: text/event-stream\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut events = Self {
            stream,
            head: String::new(),
            text: String::new(),
            read: 0,
        };
        let end = loop {
            if let Some(end) = events.text.find("\r\n\r\n") {
                break end + 4;
            }
            assert!(events.more().await, "it ended without an answer");
        };
        events.head = events.text.drain(..end).collect();
        events
    }

    /// False at the end of the connection.
    async fn more(&mut self) -> bool {
        let mut part = [0; 4096];
        let length = self.stream.read(&mut part).await.unwrap_or(0);
        self.text += str::from_utf8(&part[..length]).unwrap();
        length > 0
    }

    /// The next event. None if the stream has ended, as a whole answer does.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            let rest = &self.text[self.read..];
            if let Some(end) = rest.find("\n\n") {
                let event = &rest[..end];
                let field = |name| {
                    let found = event.lines().find_map(|line| line.strip_prefix(name));
                    found.unwrap_or_default().to_owned()
                };
                let (name, id, data) = (field("event: "), field("id: "), field("data: "));
                self.read += end + 2;
                // a comment has no data
                if let Ok(data) = serde_json::from_str(&data) {
                    return Some(Event { name, id, data });
                }
                continue;
            }
            // the last chunk
            if rest.ends_with("\r\n0\r\n\r\n") {
                return None;
            }
            assert!(self.more().await, "it broke off: {}", self.text);
        }
    }

    /// The id of the next version.
    pub(crate) async fn version(&mut self) -> String {
        let event = self.next().await.unwrap();
        assert_eq!(event.name, "version", "{event:?}");
        assert_eq!(event.data["VersionId"], *event.id, "{event:?}");
        event.id
    }
}

/// The headers of this token.
pub(crate) fn token_of(token: &str) -> String {
    format!("X-Vault-Token: {token}\r\n")
}

/// A token of one program, in a file, and its table.
pub(crate) struct Limited {
    folder: tempfile::TempDir,
    pub(crate) table: String,
}

pub(crate) const LIMITED: &str = "a-t0ken-of-one-program";

impl Limited {
    pub(crate) fn to(secrets: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let table = format!(
            "[[tokens]]\nfile = \"{}\"\nsecrets = {secrets}",
            file.display()
        );
        let limited = Self { folder, table };
        limited.set(LIMITED);
        limited
    }

    pub(crate) fn set(&self, token: &str) {
        std::fs::write(self.folder.path().join("token"), token).unwrap();
    }
}
