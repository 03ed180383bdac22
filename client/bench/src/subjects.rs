//! What is read: each in a loop of its own, so that the compiler sees the read that an application makes.

use std::{
    hint::black_box,
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

use arc_swap::{ArcSwap, Cache};
use tokio::runtime::Builder;

use crate::{DOCUMENT, SECRET, Store, hit, ours, theirs};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The beginning and the end of some reads.
pub type Span = (Instant, Instant);

/// One way to read.
pub struct Subject {
    /// Its name in the output.
    pub name: &'static str,
    /// Reads so many times.
    pub read: Box<dyn Fn(u64) -> Span + Sync>,
}

/// All ways: our two, their two equals in arc-swap, and the peers. `drill/src/bench/client.rs` knows the names.
pub async fn all() -> Vec<Subject> {
    let secret = ours(Store::new(), DAY / 2).await;
    let again = secret.clone();
    let value: Arc<str> = DOCUMENT.into();
    let swap = Arc::new(ArcSwap::from_pointee(value.clone()));
    let swap_again = swap.clone();
    let locked = RwLock::new(value.clone());
    let moka = moka::sync::Cache::builder().time_to_live(DAY).build();
    moka.insert(SECRET, value);
    let caching = theirs(Store::new(), DAY).await;
    vec![
        subject("current", move |times| {
            span(times, || {
                black_box(black_box(&secret).current().expect("it is there").version());
            })
        }),
        subject("arc-swap", move |times| {
            span(times, || {
                black_box(black_box(&*swap).load().as_ptr());
            })
        }),
        subject("reader", move |times| {
            let mut reader = again.reader();
            span(times, || {
                let credential = black_box(&mut reader).current();
                black_box(credential.expect("it is there").version());
            })
        }),
        subject("arc-swap's cache", move |times| {
            let mut cache = Cache::new(&*swap_again);
            span(times, || {
                black_box(black_box(&mut cache).load().as_ptr());
            })
        }),
        subject("RwLock", move |times| {
            span(times, || {
                let value = black_box(&locked).read().expect("no panic").clone();
                black_box(value.as_ptr());
            })
        }),
        subject("moka", move |times| {
            span(times, || {
                let value = black_box(&moka).get(SECRET).expect("it is there");
                black_box(value.as_ptr());
            })
        }),
        subject("aws_secretsmanager_caching", move |times| {
            // on the thread's own runtime, which is entered once
            let runtime = Builder::new_current_thread().build().expect("a runtime");
            runtime.block_on(async {
                let began = Instant::now();
                for _ in 0..times {
                    hit(black_box(&caching)).await;
                }
                (began, Instant::now())
            })
        }),
    ]
}

fn subject(name: &'static str, read: impl Fn(u64) -> Span + Sync + 'static) -> Subject {
    let read = Box::new(read);
    Subject { name, read }
}

fn span(times: u64, mut read: impl FnMut()) -> Span {
    let began = Instant::now();
    for _ in 0..times {
        read();
    }
    (began, Instant::now())
}
