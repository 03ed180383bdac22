//! What a server asks at a login, read on its way to the driver.
//!
//! The driver hides how a login went. So a thin stream between TLS and driver reads the types of the login's messages: which
//! authentication the server asks for, and the process behind the session. It never lets a request for the password in clear
//! text reach the driver, which would answer it.
//!
//! The server also reports settings, such as `TimeZone`. The owner of a database, or a role itself, can give them bytes that are no
//! text in UTF-8, and the driver would refuse the session. Nobody here reads them, so such bytes are replaced.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

use super::mutex::lock;

/// What the server has said so far.
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
}

/// A stream that reads the messages of a login.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    reader: Reader,
    login: Arc<Mutex<Login>>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, login: Arc<Mutex<Login>>) -> Self {
        Self {
            stream,
            reader: Reader::default(),
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
        Pin::new(&mut self.stream).poll_write(context, bytes)
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
struct Reader {
    /// Type, length, and the first four bytes of the rest.
    head: Vec<u8>,
    /// How many bytes of this message are still to come.
    left: usize,
    /// The login is over.
    over: bool,
}

impl Reader {
    const HEAD: usize = 5;

    fn take(&mut self, byte: &mut u8, login: &mut Login) {
        if self.head.len() < Self::HEAD {
            self.head.push(*byte);
            if self.head.len() == Self::HEAD {
                self.left = (self.number(1) as usize).saturating_sub(4);
            }
        } else {
            self.left = self.left.saturating_sub(1);
            if self.head.len() < Self::HEAD + 4 {
                self.head.push(*byte);
            }
            // after the login too: the end of a transaction reports what it sets back
            if self.head[0] == b'S' && !byte.is_ascii() {
                *byte = b'?';
            }
        }
        if self.head.len() >= Self::HEAD && self.left == 0 {
            self.message(login);
            self.head.clear();
        }
    }

    fn message(&mut self, login: &mut Login) {
        let whole = self.head.len() == Self::HEAD + 4;
        match self.head[0] {
            _ if self.over => {}
            b'R' if whole => match self.number(Self::HEAD) {
                3 => login.wants_cleartext = true,
                asks @ (5 | 10) => {
                    login.asked = true;
                    login.md5 = asks == 5;
                }
                _ => {}
            },
            b'K' if whole => login.process = Some(self.number(Self::HEAD).cast_signed()),
            b'Z' => self.over = true,
            _ => {}
        }
    }

    fn number(&self, at: usize) -> u32 {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.head[at..at + 4]);
        u32::from_be_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
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
