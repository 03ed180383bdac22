//! No password in clear text, regardless of what the server asks for.
//!
//! The driver answers a server that asks for the password itself, with TLS and without: then the other end has the password,
//! and SCRAM has proved nothing. So a thin stream between TLS and driver reads the first message of the login, and such a
//! request never reaches the driver. The exception is a token that is meant to be sent in clear text, over TLS.

use std::{
    error::Error as StdError,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::{
    Socket,
    tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream},
};

/// The server asks for the password in clear text.
#[derive(Debug, thiserror::Error)]
#[error(
    "the server asks for the password in clear, and did not get it: have its pg_hba.conf, or the pooler, ask for scram-sha-256"
)]
struct Asked;

/// TLS, or none, with a stream that reads the login.
#[derive(Clone)]
pub(crate) struct Guard<T> {
    /// `None` without TLS. The driver treats the stream as TLS anyway: otherwise it could not be read here.
    tls: Option<T>,
    /// The password is a token that the server asks for in clear text.
    is_token: bool,
}

impl<T> Guard<T> {
    pub(crate) fn of(tls: T, encrypted: bool, is_token: bool) -> Self {
        Self {
            tls: encrypted.then_some(tls),
            is_token: is_token && encrypted,
        }
    }
}

impl<T> MakeTlsConnect<Socket> for Guard<T>
where
    T: MakeTlsConnect<Socket>,
    T::TlsConnect: Send + 'static,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    type Stream = Guarded<T::Stream>;
    type TlsConnect = Guard<T::TlsConnect>;
    type Error = T::Error;

    fn make_tls_connect(&mut self, domain: &str) -> Result<Self::TlsConnect, T::Error> {
        let tls = self.tls.as_mut().map(|tls| tls.make_tls_connect(domain));
        Ok(Guard {
            tls: tls.transpose()?,
            is_token: self.is_token,
        })
    }
}

impl<T> TlsConnect<Socket> for Guard<T>
where
    T: TlsConnect<Socket> + Send + 'static,
    T::Future: Send,
{
    type Stream = Guarded<T::Stream>;
    type Error = Box<dyn StdError + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Stream, Self::Error>> + Send>>;

    fn connect(self, socket: Socket) -> Self::Future {
        Box::pin(async move {
            let way = match self.tls {
                Some(tls) => Way::Tls(tls.connect(socket).await.map_err(Into::into)?),
                None => Way::Plain(socket),
            };
            let first = FirstMessage::default();
            Ok(Guarded {
                way,
                first: (!self.is_token).then_some(first),
            })
        })
    }
}

/// The stream of a connection that [`connect_with`](super::connect_with) made: that of TLS, or the socket if the secret says
/// `"ssl": false`. A server that asks for the password in clear text does not get it on this stream.
#[derive(Debug)]
pub struct Guarded<S> {
    way: Way<S>,
    /// `None` if the request may be answered.
    first: Option<FirstMessage>,
}

#[cfg(fuzzing)]
impl<S> Guarded<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self {
            way: Way::Tls(stream),
            first: Some(FirstMessage::default()),
        }
    }
}

#[derive(Debug)]
enum Way<S> {
    Tls(S),
    Plain(Socket),
}

/// The part of the server's first message that shows which authentication it asks for: a type, four bytes of length, four of
/// the kind.
#[derive(Debug, Default)]
struct FirstMessage(Vec<u8>);

impl FirstMessage {
    const HEAD: usize = 9;
    /// AuthenticationCleartextPassword ("Message Formats" in PostgreSQL's manual).
    const CLEARTEXT: u32 = 3;

    /// Whether it asks for the password in clear text, as far as it has arrived.
    fn asks_for_cleartext(&mut self, came: &[u8]) -> bool {
        let missing = Self::HEAD - self.0.len();
        self.0.extend(came.iter().take(missing));
        self.0.len() == Self::HEAD
            && self.0[0] == b'R'
            && self.0[5..] == Self::CLEARTEXT.to_be_bytes()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(match &mut self.way {
            Way::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            Way::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
        })?;
        let came = &buffer.filled()[before..];
        let first = self.first.as_mut();
        if first.is_some_and(|first| first.asks_for_cleartext(came)) {
            buffer.set_filled(before);
            let refused = io::Error::new(io::ErrorKind::PermissionDenied, Asked);
            return Poll::Ready(Err(refused));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.way {
            Way::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Way::Plain(socket) => Pin::new(socket).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.way {
            Way::Tls(stream) => Pin::new(stream).poll_flush(context),
            Way::Plain(socket) => Pin::new(socket).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.way {
            Way::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Way::Plain(socket) => Pin::new(socket).poll_shutdown(context),
        }
    }
}

impl<S: TlsStream + Unpin> TlsStream for Guarded<S> {
    fn channel_binding(&self) -> ChannelBinding {
        match &self.way {
            Way::Tls(stream) => stream.channel_binding(),
            Way::Plain(_) => ChannelBinding::none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_for_the_password_in_clear_text_is_found_in_any_fragments_and_no_other_request_matches()
     {
        for (kind, found) in [(3, true), (0, false), (5, false), (10, false)] {
            let message = [b'R', 0, 0, 0, 8, 0, 0, 0, kind, b'Z'];
            for cut in 0..message.len() {
                let mut first = FirstMessage::default();
                let (one, two) = message.split_at(cut);
                let asked = [one, two].map(|came| first.asks_for_cleartext(came));
                assert_eq!(asked.contains(&true), found, "{kind}, cut at {cut}");
            }
        }
        // the same bytes in an error's text are no such request
        let mut first = FirstMessage::default();
        assert!(!first.asks_for_cleartext(b"E\0\0\0\x08\0\0\0\x03"));
    }
}
