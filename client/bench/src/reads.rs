//! The time of a read, on one thread and on several.

use std::{
    collections::BTreeMap,
    hint::spin_loop,
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use rotating_secret_bench::subjects::{Span, Subject};

const THREADS: [usize; 3] = [1, 2, 8];
/// Long beside the time in which threads wake.
const ROUND: Duration = Duration::from_millis(5);
const CALIBRATION: u64 = 1000;

/// Nanoseconds of a read, by subject and by the number of threads: a figure for each turn. All take turns, so that another program on the
/// machine disturbs each of them. A turn's figure is its best round: other work makes a round slower, and nothing makes it faster.
pub(crate) fn measure(
    subjects: &[Subject],
    turns: usize,
    rounds: usize,
) -> BTreeMap<&'static str, BTreeMap<usize, Vec<f64>>> {
    let mut reads = BTreeMap::<_, BTreeMap<_, Vec<f64>>>::new();
    for threads in THREADS {
        let times: Vec<u64> = subjects.iter().map(times).collect();
        for _ in 0..turns {
            for (subject, times) in subjects.iter().zip(&times) {
                let round = |_| round(subject, threads, *times);
                let best = (0..rounds).map(round).fold(f64::NAN, f64::min);
                let by_threads = reads.entry(subject.name).or_default();
                by_threads.entry(threads).or_default().push(best);
            }
        }
    }
    reads
}

/// How many reads a round has.
fn times(subject: &Subject) -> u64 {
    let (began, ended) = (subject.read)(CALIBRATION);
    let rounds = ROUND.div_duration_f64(ended - began);
    (CALIBRATION as f64 * rounds) as u64 + CALIBRATION
}

/// The time of one processor for a read: with more threads than processors, each thread has its share of one. Measured from when the first
/// thread begins to when the last one ends.
fn round(subject: &Subject, threads: usize, times: u64) -> f64 {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let (barrier, ready) = (Barrier::new(threads), AtomicUsize::new(0));
    let read = || {
        barrier.wait();
        ready.fetch_add(1, Ordering::SeqCst);
        // waking takes long, and is not what is measured
        while threads <= processors && ready.load(Ordering::SeqCst) < threads {
            spin_loop();
        }
        (subject.read)(times)
    };
    let spans: Vec<Span> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(read)).collect();
        let ended = running.into_iter().map(|thread| thread.join());
        ended.map(|span| span.expect("no panic")).collect()
    });
    let first = spans.iter().map(|(began, _)| *began).min();
    let last = spans.iter().map(|(_, ended)| *ended).max();
    let took = last.expect("a thread") - first.expect("a thread");
    let shared = threads.min(processors) as f64 / threads as f64;
    took.as_nanos() as f64 * shared / times as f64
}
