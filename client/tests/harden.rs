//! With the wiping allocator, no copy of a password outlives its use, and a crash leaves no core dump.
#![cfg(all(
    feature = "aws",
    feature = "bb8",
    feature = "deadpool",
    feature = "harden",
    feature = "listen",
    feature = "sqlx",
    feature = "tls",
    target_os = "linux"
))]
#![cfg(test)]

mod memory;

use std::{
    env,
    hint::black_box,
    os::unix::process::ExitStatusExt,
    process::{Command, Stdio, abort},
    time::Duration,
};

use memory::{Memory, Needle, application, hand_over};
use nix::sys::{
    prctl::get_dumpable,
    resource::{Resource, getrlimit, setrlimit},
};
use rotating_secret::harden::{WIPING_ALLOCATOR, WipingAllocator, no_core_dumps};

#[global_allocator]
static ALLOCATOR: WipingAllocator = WIPING_ALLOCATOR;

// the world runs on while the test waits for the other process
#[tokio::test(flavor = "multi_thread")]
async fn no_copy_of_a_password_remains_after_its_replacement_or_the_last_handle() {
    let found = hand_over("the_application", Duration::from_secs(30)).await;
    println!("{found}");
    assert!(found.in_use.old.count() > 0, "it cannot see: {found}");
    assert_eq!(found.after_the_hand_over.old.count(), 0, "{found}");
    assert!(found.after_the_hand_over.new.count() > 0, "{found}");
    assert_eq!(found.after_the_last_handle.old.count(), 0, "{found}");
    assert_eq!(found.after_the_last_handle.new.count(), 0, "{found}");
}

#[test]
#[ignore = "the process that is looked into; the test above starts it"]
fn the_application() {
    application();
}

#[test]
fn the_search_finds_heap_and_stack_parts_and_pads_of_hmac_and_no_freed_memory() {
    // made here, so that no other memory holds it
    let letter = |at: u8, pad: u8| (b'a' + (at * 7 + 3) % 26) ^ pad;
    let word = |pad| (0..32).map(move |at| letter(at, pad));
    let needle = Needle::of(word(0));
    let mut memory = Memory::open();
    assert_eq!(memory.copies(&needle).count(), 0);

    let heap = black_box(word(0).collect::<Vec<u8>>());
    assert_eq!(memory.copies(&needle).count(), 1);
    drop(heap);
    assert_eq!(memory.copies(&needle).count(), 0);
    let part_of_a_pad = black_box(word(0x36).skip(8).collect::<Vec<u8>>());
    assert_eq!(memory.copies(&needle).count(), 1);
    drop(part_of_a_pad);
    let stack: [u8; 32] = std::array::from_fn(|at| letter(at as u8, 0));
    let stack = black_box(stack);
    assert!(memory.copies(&needle).count() > 0);
    black_box(&stack);
}

#[test]
fn a_crash_writes_no_core_dump() {
    let crashed = Command::new(env::current_exe().unwrap())
        .args(["--exact", "the_crash", "--ignored"])
        .env("CRASH", "")
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(crashed.signal(), Some(nix::libc::SIGABRT), "{crashed}");
    assert!(!crashed.core_dumped(), "{crashed}");
}

#[test]
#[ignore = "the process that crashes; the test above starts it"]
fn the_crash() {
    if env::var_os("CRASH").is_none() {
        return;
    }
    // as large as possible, so that a core dump would be written
    let (_, hard) = getrlimit(Resource::RLIMIT_CORE).unwrap();
    setrlimit(Resource::RLIMIT_CORE, hard, hard).unwrap();
    no_core_dumps().unwrap();
    // here each of them is enough; elsewhere only one of them may work
    assert_eq!(getrlimit(Resource::RLIMIT_CORE).unwrap(), (0, 0));
    assert!(!get_dumpable().unwrap());
    abort();
}
