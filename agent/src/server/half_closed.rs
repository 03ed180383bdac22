//! A client that closes its half of a connection after its request still gets the answer: `socat`, `nc -N`.
//!
//! hyper treats the end of a client's bytes as a client that has left, and drops the answer. Its setting `half_close` would also keep
//! each stream of changes whose client has left. So here the end is hidden while an answer is due.
//!
//! A client that has closed all of its connection looks the same until it gets bytes: many do while the upstream hangs. So a connection
//! whose end is hidden gives its place to others. hyper does not look for the end while it holds bytes of a next request: such a client
//! keeps its place until its answer is there.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connections::Connection;

pub(super) struct HalfClosed<S> {
    stream: S,
    connection: Arc<Connection>,
    has_written: bool,
    has_hidden: bool,
}

impl<S> HalfClosed<S> {
    pub(super) fn new(stream: S, connection: Arc<Connection>) -> Self {
        Self {
            stream,
            connection,
            has_written: false,
            has_hidden: false,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HalfClosed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let is_end = buffer.filled().len() == before;
        self.has_hidden = is_end && self.connection.owes();
        match self.has_hidden {
            true => {
                self.connection.has_said_all();
                // the answer wakes this task
                Poll::Pending
            }
            false => Poll::Ready(Ok(())),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HalfClosed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.has_written = true;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    /// hyper flushes when all of an answer is written.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.has_written) {
            self.connection.owe(false);
            if self.has_hidden {
                // to find the end
                context.waker().wake_by_ref();
            }
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
