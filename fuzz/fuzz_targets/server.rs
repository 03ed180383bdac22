//! For anything that a server says at a login, to the function and to an application: it does not get the password in clear
//! text, and no error's text shows it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rotating_secret_document::Document;
use secret_rotation::engine::postgres::fuzzing as function;
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex},
    runtime::Builder,
};
use tokio_postgres::{Config, Error, NoTls, config::SslMode};

const PASSWORD: &str = "a-password-to-look-for";

fuzz_target!(|bytes: &[u8]| {
    let runtime = Builder::new_current_thread().build().unwrap();
    let document = json!({ "host": "h", "username": "app", "password": PASSWORD });
    let document = Document::parse(&document.to_string().into()).unwrap();
    let text_of = |error: &Error| function::error_text(error, &document);
    runtime.block_on(log_in(bytes, function::watched, text_of));
    let client = rotating_secret::fuzzing::guarded;
    runtime.block_on(log_in(bytes, client, rotating_secret::fuzzing::error_text));
});

/// Logs in over a stream that already holds the server's messages.
async fn log_in<S: AsyncRead + AsyncWrite + Unpin>(
    server: &[u8],
    over: impl FnOnce(DuplexStream) -> S,
    text_of: impl FnOnce(&Error) -> String,
) {
    let (ours, mut theirs) = duplex(1 << 20);
    theirs.write_all(server).await.unwrap();
    theirs.shutdown().await.unwrap();
    let mut config = Config::new();
    config
        .user("app")
        .password(PASSWORD)
        .ssl_mode(SslMode::Disable);
    // dropped here, so that the stream ends
    let failed = config.connect_raw(over(ours), NoTls).await.err();
    if let Some(error) = failed {
        let text = text_of(&error);
        assert!(!text.contains(PASSWORD), "{text}");
    }
    let mut sent = Vec::new();
    theirs.read_to_end(&mut sent).await.unwrap();
    let mut parts = sent.windows(PASSWORD.len());
    let found = parts.any(|part| part == PASSWORD.as_bytes());
    assert!(!found, "the password was sent");
}
