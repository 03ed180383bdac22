//! A server that records logins, and psql that logs in.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
};

/// A server that asks for a clear-text password and records it.
pub(super) struct Asking {
    pub(super) port: u16,
    came: Arc<Mutex<Vec<(String, String)>>>,
}

impl Asking {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let came = Arc::new(Mutex::new(Vec::new()));
        let told = came.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let _ = ask(stream, &told);
            }
        });
        Self { port, came }
    }

    pub(super) fn take(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.came.lock().unwrap())
    }
}

/// The server's side of a login, from the manual of the protocol (message formats).
fn ask(mut stream: TcpStream, came: &Mutex<Vec<(String, String)>>) -> Option<()> {
    let message = |stream: &mut TcpStream| {
        let mut length = [0; 4];
        stream.read_exact(&mut length).ok()?;
        let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
        stream.read_exact(&mut body).ok()?;
        Some(body)
    };
    let startup = loop {
        let startup = message(&mut stream)?;
        match startup.len() {
            // a request for TLS or GSS encryption
            4 => stream.write_all(b"N").ok()?,
            _ => break startup,
        }
    };
    let mut texts = startup[4..].split(|byte| *byte == 0);
    texts.find(|text| *text == b"user")?;
    let user = String::from_utf8(texts.next()?.to_vec()).ok()?;
    stream.write_all(b"R\0\0\0\x08\0\0\0\x03").ok()?;
    stream.read_exact(&mut [0]).ok()?;
    let mut password = message(&mut stream)?;
    password.pop();
    // recorded before the client ends
    came.lock()
        .unwrap()
        .push((user, String::from_utf8(password).ok()?));
    let fields = b"SFATAL\0VFATAL\0C28P01\0Mno\0\0";
    stream.write_all(b"E").ok()?;
    stream
        .write_all(&(fields.len() as u32 + 4).to_be_bytes())
        .ok()?;
    stream.write_all(fields).ok()
}

/// psql with only these of libpq's variables. It never prompts.
pub(super) fn psql(variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = Command::new("psql");
    command
        .args(["-X", "-w", "-At", "-c", "SELECT current_user"])
        .args(arguments);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("LC_ALL", "C.UTF-8");
    command
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}
