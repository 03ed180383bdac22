//! What callers at an expired entry cause, and how long they wait.

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use rotating_secret_bench::{Store, hit, ours, theirs};
use serde_json::{Value, json};
use tokio::{
    runtime::Builder,
    task::{LocalSet, spawn_local, yield_now},
    time::sleep,
};

const CALLERS: usize = 1000;
/// Long beside the store's answer: a version is renewed by the time of its question.
const TTL: Duration = Duration::from_secs(2);
/// How long the store takes to answer once all have asked.
const ANSWER: Duration = Duration::from_millis(200);

/// Both caches, on one thread: a future of AWS's cannot move to another.
pub(crate) fn measure() -> Value {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    LocalSet::new().block_on(&runtime, async {
        let store = Store::new();
        let secret = ours(store.clone(), TTL).await;
        // from its first renewal on, a question begins so late that it is still open when the entry expires
        let at_first = store.asked();
        while store.asked() == at_first {
            sleep(ANSWER / 20).await;
        }
        let ours = callers(&store, move || {
            let secret = secret.clone();
            async move { drop(secret.usable().await.expect("the store answers")) }
        });
        let ours = ours.await;
        let store = Store::new();
        let client = Rc::new(theirs(store.clone(), TTL).await);
        let theirs = callers(&store, move || {
            let client = client.clone();
            async move { hit(&client).await }
        });
        json!({ "callers": CALLERS, "current": ours, "aws_secretsmanager_caching": theirs.await })
    })
}

/// Lets the entry expire while the store does not answer, and has all ask at once.
async fn callers<F: Future<Output = ()> + 'static>(store: &Store, ask: impl Fn() -> F) -> Value {
    let before = store.asked();
    store.hang(true);
    sleep(TTL + TTL / 20).await;
    let (begun, ended) = <(Rc<Cell<usize>>, Rc<Cell<usize>>)>::default();
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (asks, begun, ended) = (ask(), begun.clone(), ended.clone());
            spawn_local(async move {
                begun.set(begun.get() + 1);
                let began = Instant::now();
                asks.await;
                ended.set(ended.get() + 1);
                began.elapsed()
            })
        })
        .collect();
    while begun.get() < CALLERS {
        yield_now().await;
    }
    sleep(ANSWER).await;
    let waiting = CALLERS - ended.get();
    store.hang(false);
    let mut slowest = Duration::ZERO;
    for caller in callers {
        slowest = slowest.max(caller.await.expect("no panic"));
    }
    json!({
        "asked": store.asked() - before,
        "waiting": waiting,
        "slowest_ms": slowest.as_secs_f64() * 1000.0,
    })
}
