//! What server and driver say to each other, read on its way.
//!
//! The driver hides how a login went. So a thin stream between TLS and driver reads the types of the login's messages: which
//! authentication the server asks for, and the process behind the session. It never lets a request for the password in clear
//! text reach the driver, which would answer it.
//!
//! The server also reports settings, such as `TimeZone`. The owner of a database, or a role itself, can give them bytes that are no
//! text in UTF-8, and the driver would refuse the session. Nobody here reads them, so such bytes are replaced.
//!
//! For a column's type that is not PostgreSQL's own, the driver asks the server, with a statement that it prepares; and again for the type
//! of that type's elements, for as long as the server names another one. Nothing else here prepares a statement, so the first one ends
//! the session.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

use super::mutex::lock;

/// What server and driver have said so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Login {
    /// It asked for the password in clear, and got no answer.
    pub(super) wants_cleartext: bool,
    /// It asked for a proof of the password: SCRAM's, or a hash (md5).
    pub(super) asked: bool,
    /// That proof is md5's: the server keeps an md5 password.
    pub(super) md5: bool,
    /// The process that it names for cancel requests; a pooler's own number if one is in between.
    pub(super) process: Option<i32>,
    /// The driver has prepared a statement.
    pub(super) prepares: bool,
}

/// A stream that reads the messages.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    reader: Reader,
    sent: Messages,
    login: Arc<Mutex<Login>>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, login: Arc<Mutex<Login>>) -> Self {
        Self {
            stream,
            reader: Reader::default(),
            sent: Messages::sent(),
            login,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let this = &mut *self;
        let mut login = lock(&this.login);
        for byte in &mut buffer.filled_mut()[before..] {
            this.reader.take(byte, &mut login);
        }
        if login.wants_cleartext {
            buffer.set_filled(before);
            return Poll::Ready(Err(io::ErrorKind::PermissionDenied.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let length = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        for byte in &bytes[..length] {
            // the name, without which nothing is prepared, comes first
            let head = self.sent.take(*byte);
            if head
                .is_some_and(|head| head.starts_with(b"P") && head.get(Messages::HEAD) > Some(&0))
            {
                lock(&self.login).prepares = true;
                return Poll::Ready(Err(io::ErrorKind::PermissionDenied.into()));
            }
        }
        Poll::Ready(Ok(length))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S: TlsStream + Unpin> TlsStream for Watched<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.stream.channel_binding()
    }
}

/// TLS with such a stream.
pub(super) struct Watching<T> {
    pub(super) tls: T,
    pub(super) login: Arc<Mutex<Login>>,
}

impl<S, T> TlsConnect<S> for Watching<T>
where
    T: TlsConnect<S>,
    T::Stream: Unpin,
    T::Future: Send + 'static,
{
    type Stream = Watched<T::Stream>;
    type Error = T::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Stream, T::Error>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        let (connect, login) = (self.tls.connect(stream), self.login);
        Box::pin(async move { Ok(Watched::new(connect.await?, login)) })
    }
}

/// Finds the messages in the bytes: a type, the length of the rest with its own four bytes, the rest.
#[derive(Debug, Default)]
struct Messages {
    /// Type, length, and the first four bytes of the rest.
    head: Vec<u8>,
    /// How many bytes of this message are still to come.
    left: usize,
}

impl Messages {
    const HEAD: usize = 5;

    /// Those that are sent. The first one has no type.
    fn sent() -> Self {
        Self {
            head: vec![0],
            left: 0,
        }
    }

    /// The head of the message that ends with this byte.
    fn take(&mut self, byte: u8) -> Option<Vec<u8>> {
        if self.head.len() < Self::HEAD {
            self.head.push(byte);
            if self.head.len() == Self::HEAD {
                self.left = (number(&self.head, 1) as usize).saturating_sub(4);
            }
        } else {
            self.left = self.left.saturating_sub(1);
            if self.head.len() < Self::HEAD + 4 {
                self.head.push(byte);
            }
        }
        let ended = self.head.len() >= Self::HEAD && self.left == 0;
        ended.then(|| std::mem::take(&mut self.head))
    }

    /// Whether the next byte is one of the rest of a message of this type.
    fn is_within(&self, kind: u8) -> bool {
        self.head.len() >= Self::HEAD && self.head[0] == kind
    }
}

/// Follows a login.
#[derive(Debug, Default)]
struct Reader {
    messages: Messages,
    /// The login is over.
    over: bool,
}

impl Reader {
    fn take(&mut self, byte: &mut u8, login: &mut Login) {
        // after the login too: the end of a transaction reports what it sets back
        if self.messages.is_within(b'S') && !byte.is_ascii() {
            *byte = b'?';
        }
        if let Some(head) = self.messages.take(*byte) {
            self.message(&head, login);
        }
    }

    fn message(&mut self, head: &[u8], login: &mut Login) {
        let whole = head.len() == Messages::HEAD + 4;
        match head[0] {
            _ if self.over => {}
            b'R' if whole => match number(head, Messages::HEAD) {
                3 => login.wants_cleartext = true,
                asks @ (5 | 10) => {
                    login.asked = true;
                    login.md5 = asks == 5;
                }
                _ => {}
            },
            b'K' if whole => login.process = Some(number(head, Messages::HEAD).cast_signed()),
            b'Z' => self.over = true,
            _ => {}
        }
    }
}

fn number(head: &[u8], at: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&head[at..at + 4]);
    u32::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    fn message(kind: u8, rest: &[u8]) -> Vec<u8> {
        let length = u32::try_from(rest.len() + 4).unwrap();
        [&[kind], &length.to_be_bytes()[..], rest].concat()
    }

    fn read(bytes: &[u8]) -> Login {
        let (mut reader, mut login) = (Reader::default(), Login::default());
        for byte in &mut bytes.to_vec() {
            reader.take(byte, &mut login);
        }
        login
    }

    #[test]
    fn a_setting_that_is_no_text_reaches_the_driver_as_text_and_nothing_else_is_changed() {
        let (mut reader, mut login) = (Reader::default(), Login::default());
        let mut said = [
            message(b'S', b"TimeZone\0<\xe9>0\0"),
            message(b'K', b"\0\0\x01\xe9\xe9\xe9\xe9\xe9"),
            message(b'Z', b"I"),
            message(b'D', b"\0\x01\0\0\0\x01\xe9"),
            message(b'S', b"TimeZone\0\xe9\0"),
        ];
        for byte in said.iter_mut().flatten() {
            reader.take(byte, &mut login);
        }
        assert_eq!(said[0], message(b'S', b"TimeZone\0<?>0\0"));
        assert!(said[1].ends_with(b"\xe9\xe9") && said[3].ends_with(b"\xe9"));
        assert_eq!(said[4], message(b'S', b"TimeZone\0?\0"));
        assert_eq!(login.process, Some(0x01e9));
    }

    #[test]
    fn a_login_is_read_message_by_message() {
        let scram = message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0");
        let done = message(b'R', b"\0\0\0\0");
        let parameter = message(b'S', b"R\0\0\0\0\x08\0\0\0\x03\0");
        let process = message(b'K', b"\0\0\x01\x02secret bytes");
        let ready = message(b'Z', b"I");
        let afterwards = message(b'R', b"\0\0\0\x03");
        let login = read(&[scram, done, parameter, process, ready, afterwards].concat());
        assert!(login.asked && !login.wants_cleartext);
        assert_eq!(login.process, Some(258));
    }

    #[test]
    fn the_kinds_of_authentication_are_distinguished() {
        for (asks, asked, wants_cleartext) in [
            (0, false, false),
            (3, false, true),
            (5, true, false),
            (10, true, false),
        ] {
            let login = read(&message(b'R', &[0, 0, 0, asks, 1, 2, 3, 4]));
            assert_eq!(
                (login.asked, login.wants_cleartext, login.md5),
                (asked, wants_cleartext, asks == 5),
                "{asks}"
            );
        }
    }

    #[tokio::test]
    async fn a_statement_that_is_prepared_ends_the_session_wherever_its_bytes_are_cut() {
        let startup = b"\0\0\0\x09\0\x03\0\0\0".to_vec();
        let scram = message(b'p', b"SCRAM-SHA-256\0");
        let unnamed = message(b'P', b"\0SELECT 1\0\0\0");
        let named = message(b'P', b"s0\0SELECT 1\0\0\0");
        for cut in 1..40 {
            let login = Arc::default();
            let mut stream = Watched::new(tokio::io::sink(), Arc::clone(&login));
            let allowed = [&startup[..], &scram, &unnamed].concat();
            for part in allowed.chunks(cut) {
                stream.write_all(part).await.unwrap();
            }
            assert!(!lock(&login).prepares);
            let mut sent = Ok(());
            for part in named.chunks(cut) {
                sent = sent.and(stream.write_all(part).await);
            }
            assert!(sent.is_err() && lock(&login).prepares);
        }
    }

    #[test]
    fn bytes_that_form_no_message_change_nothing_in_a_login() {
        let login = read(
            &[
                message(b'R', b""),
                message(b'K', b"\0"),
                vec![b'R', 0, 0, 0, 0],
                vec![0xff; 99],
            ]
            .concat(),
        );
        assert!(!login.asked && login.process.is_none());
    }
}
