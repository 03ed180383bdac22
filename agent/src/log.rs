//! The log, on standard error: a unit's journal, a container's log. A thread writes it, so no reader of a secret waits for a reader
//! of the log.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::{self, Write},
    panic,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Receiver, Sender, SyncSender, TrySendError},
    },
    thread,
    time::Duration,
};

use tracing_subscriber::{
    Layer, filter::Targets, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

use crate::settings::LogLevel;

/// How many lines wait to be written. Then lines are dropped.
const LINES: usize = 4096;

/// How long the end waits for the lines to be written. It is long, because a busy machine must lose none.
const LEFT: Duration = Duration::from_secs(5);

/// The log. Dropping it writes what waits.
pub struct Log(Queue);

#[derive(Clone)]
struct Queue {
    lines: SyncSender<Line>,
    /// How many did not find room.
    dropped: Arc<AtomicUsize>,
}

enum Line {
    Text(Vec<u8>),
    /// Its sender waits until all lines before it are written.
    End(#[expect(dead_code, reason = "dropping it is the signal")] Sender<()>),
}

impl Log {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub fn begin() -> io::Result<Self> {
        let (lines, queued) = mpsc::sync_channel(LINES);
        let dropped = Arc::default();
        let queue = Queue { lines, dropped };
        let dropped = queue.dropped.clone();
        let write = move || write(&queued, &dropped);
        thread::Builder::new().name("log".to_owned()).spawn(write)?;
        Ok(Self(queue))
    }

    /// Logs events from now on. The result sets another level.
    pub fn events(&self, level: LogLevel) -> impl Fn(LogLevel) + use<> {
        let (filter, handle) = reload::Layer::new(targets(level));
        let queue = self.0.clone();
        let lines = fmt::layer().with_writer(move || queue.clone());
        tracing_subscriber::registry()
            .with(lines.with_ansi(false).with_filter(filter))
            .init();
        move |level| {
            // it fails only without a subscriber, and then nothing is logged
            let _ = handle.reload(targets(level));
        }
    }

    /// Logs panics from now on. std would write them on the thread that panics, and wait for a reader.
    pub fn panics(&self) {
        let queue = self.0.clone();
        panic::set_hook(Box::new(move |panic| {
            let backtrace = Backtrace::capture();
            let backtrace = match backtrace.status() {
                BacktraceStatus::Captured => backtrace.to_string(),
                _ => String::new(),
            };
            queue.push(format!("rotating-secret-agent: {panic}\n{backtrace}").into());
            // the release ends here
            if cfg!(panic = "abort") {
                queue.finish();
            }
        }));
    }

    /// Writes a line that is no event.
    pub fn line(&self, text: &str) {
        self.0.push(format!("{text}\n").into());
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.0.finish();
    }
}

impl Queue {
    fn push(&self, line: Vec<u8>) {
        if self.lines.try_send(Line::Text(line)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all lines are written, but not for long.
    fn finish(&self) {
        let (lines, (end, ended)) = (self.lines.clone(), mpsc::channel());
        let sent = match lines.try_send(Line::End(end)) {
            Ok(()) => true,
            // a thread waits for room, so that the time is limited
            Err(TrySendError::Full(end)) => {
                let send = move || lines.send(end);
                thread::Builder::new().spawn(send).is_ok()
            }
            Err(TrySendError::Disconnected(_)) => false,
        };
        if sent {
            let _ = ended.recv_timeout(LEFT);
        }
    }
}

impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write(queued: &Receiver<Line>, dropped: &AtomicUsize) {
    // nothing can be done about an error: nobody reads
    let put = |text: &[u8]| drop(io::stderr().write_all(text));
    for line in queued {
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let told = "lines of the log were dropped, because nobody read standard error";
            put(format!("rotating-secret-agent: {lost} {told}\n").as_bytes());
        }
        if let Line::Text(text) = line {
            put(&text);
        }
    }
}

/// Libraries below the client log warnings only: at debug, the SDK and HTTP would log requests and answers.
fn targets(level: LogLevel) -> Targets {
    let Some(level) = level.tracing() else {
        return Targets::new();
    };
    let own = ["rotating_secret", "rotating_secret_agent"].map(|own| (own, level));
    let others = level.min(tracing::Level::WARN);
    Targets::new().with_default(others).with_targets(own)
}
