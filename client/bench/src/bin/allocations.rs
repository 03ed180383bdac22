//! Prints how often each read allocates, as JSON.

use std::{alloc::System, collections::BTreeMap};

use rotating_secret_bench::subjects::{self, Subject};
use serde_json::json;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const READS: u64 = 10_000;

/// On one thread, so that nothing else allocates meanwhile.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let subjects = subjects::all().await;
    // a runtime inside of this one is refused, so another thread reads
    let allocations = std::thread::scope(|scope| {
        let counts = || -> BTreeMap<_, _> {
            let count = |subject: &Subject| (subject.name, of(subject));
            subjects.iter().map(count).collect()
        };
        let counting = scope.spawn(counts);
        counting.join().expect("no panic")
    });
    println!("{}", json!(allocations));
}

/// Twice as many reads allocate more; what a thread sets up once, the reader for example, they do not.
fn of(subject: &Subject) -> f64 {
    let counted = |times| {
        let region = Region::new(ALLOCATOR);
        (subject.read)(times);
        let change = region.change();
        (change.allocations + change.reallocations) as f64
    };
    counted(READS); // what the process sets up once
    (counted(2 * READS) - counted(READS)) / READS as f64
}
