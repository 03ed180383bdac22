//! The signals that are passed on.

use std::{
    future::poll_fn,
    io::{self, IsTerminal},
    task::Poll,
};

use nix::sys::signal::Signal;
use tokio::signal::unix::{self, SignalKind};

/// Signals that a service manager or an operator sends.
const PASSED: [Signal; 7] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGHUP,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
];

/// Signals that a terminal also sends to the child: passed on, they would reach it twice.
const OF_A_TERMINAL: [Signal; 3] = [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGWINCH];

/// Whether no child may start after this signal.
pub(super) fn is_end(signal: Signal) -> bool {
    matches!(signal, Signal::SIGTERM | Signal::SIGINT | Signal::SIGQUIT)
}

/// The status of a process that this signal ended, as shells report it.
pub(super) fn status(signal: Signal) -> u8 {
    128 + signal as u8
}

pub(super) struct Signals {
    received: Vec<(Signal, unix::Signal)>,
    has_terminal: bool,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        let receive = |signal| Ok((signal, unix::signal(SignalKind::from_raw(signal as i32))?));
        Ok(Self {
            received: PASSED.into_iter().map(receive).collect::<io::Result<_>>()?,
            has_terminal: io::stdin().is_terminal(),
        })
    }

    /// The next of these signals that must be passed on.
    pub(super) async fn next(&mut self, of: impl Fn(Signal) -> bool) -> Signal {
        poll_fn(|context| {
            for (signal, received) in &mut self.received {
                while received.poll_recv(context).is_ready() {
                    if of(*signal) {
                        return Poll::Ready(*signal);
                    }
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Whether the terminal also sends it to the child.
    pub(super) fn is_sent_twice(&self, signal: Signal) -> bool {
        self.has_terminal && OF_A_TERMINAL.contains(&signal)
    }
}
