//! Prints how often a hit allocates: ours, theirs.

use std::{alloc::System, hint::black_box};

use rotating_secret_bench::{Store, hit, ours, theirs};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const HITS: u32 = 10_000;

/// On one thread, so that nothing else allocates meanwhile.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (secret, client) = (ours(Store::new()).await, theirs().await);
    // set up what each thread needs once
    black_box(secret.current().expect("it is there"));

    let region = Region::new(ALLOCATOR);
    for _ in 0..HITS {
        black_box(secret.current().expect("it is there").version());
    }
    let change = region.change();
    let ours = change.allocations + change.reallocations;

    let region = Region::new(ALLOCATOR);
    for _ in 0..HITS {
        hit(&client).await;
    }
    let change = region.change();
    let theirs = change.allocations + change.reallocations;

    let hits = f64::from(HITS);
    println!("{} {}", ours as f64 / hits, theirs as f64 / hits);
}
