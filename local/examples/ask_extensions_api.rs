//! Sends one request to the Extensions API, for the extensions of tests, which are shell scripts.
//!
//! Arguments: FILE METHOD PATH BODY HEADER… The answer's head is written to FILE.head, and its body to FILE.body.

use std::{
    env, fs,
    io::{Error, Read, Result, Write},
    net::TcpStream,
};

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let mut argument = || arguments.next().unwrap_or_default();
    let (file, method, path, body) = (argument(), argument(), argument(), argument());
    let headers: String = arguments.map(|header| format!("{header}\r\n")).collect();
    let length = body.len();
    let mut api = TcpStream::connect(env::var("AWS_LAMBDA_RUNTIME_API").map_err(Error::other)?)?;
    write!(
        api,
        "{method} /2020-01-01/extension/{path} HTTP/1.1\r\nHost: api\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )?;
    let mut answer = String::new();
    api.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    fs::write(format!("{file}.head"), head)?;
    fs::write(format!("{file}.body"), body)
}
