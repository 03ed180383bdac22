//! Fewer copies of a secret in memory: an allocator that wipes what it frees, and no core dumps.
//!
//! This crate wipes its own copy of a credential when the last guard of it is dropped. But a password also passes through an
//! HTTP client, TLS, a JSON parser and a driver, which free their buffers without wiping them. Anyone who reads the process's
//! memory later (a core dump, `/proc/<pid>/mem`, an over-read) finds it there. With the allocator they find only what is in
//! use:
//!
//! ```
//! use rotating_secret::harden::{WIPING_ALLOCATOR, WipingAllocator};
//!
//! #[global_allocator]
//! static ALLOCATOR: WipingAllocator = WIPING_ALLOCATOR;
//!
//! # #[cfg(target_os = "linux")]
//! fn main() -> Result<(), rotating_secret::harden::Refused> {
//!     // before the first secret is read
//!     rotating_secret::harden::no_core_dumps()?;
//!     // …
//!     Ok(())
//! }
//! # #[cfg(not(target_os = "linux"))] fn main() {}
//! ```
//!
//! After the last handle (the pools and connections included) no copy of a password is left on heap or stacks. A password that
//! was replaced is gone when the last guard of it is dropped and the pools have closed its connections. `tests/harden.rs` looks
//! for copies in a process during a rotation.
//!
//! # What it costs
//!
//! A `memset` for each freed block. Growing a vector always copies it, because the allocator may not move pages.
//!
//! # What is not wiped
//!
//! - What is in use: the current credential, as document and as password; the options of sqlx's pool; and the last answer in
//!   the buffer of an HTTPS connection that the AWS SDK keeps for the next question. A client that the application shares with
//!   [`Aws`](crate::provider::Aws) keeps that connection after the last handle, until it is idle for too long.
//! - Copies that the application makes: `expose_secret().to_owned()` in a value that stays alive, or an array on the stack.
//! - What no allocator sees: registers, the stack frames of functions that have returned, until others overwrite them, and what
//!   is allocated in C.
//! - Pages that left the process: swap, a suspended machine's disk, a snapshot, the kernel's socket buffers. `mlock` and
//!   encrypted swap are settings of the machine.
//! - The other ends: the database server, the provider, a proxy.
//! - What is never freed: leaks, and everything that a process holds when it ends. The kernel clears such pages before it gives
//!   them to another process.

use std::alloc::System;
#[cfg(target_os = "linux")]
use std::io;

#[cfg(target_os = "linux")]
use nix::sys::{
    prctl::set_dumpable,
    resource::{Resource, setrlimit},
};
use zeroizing_alloc::ZeroAlloc;

/// The system's allocator, which wipes memory before it frees it.
pub type WipingAllocator = ZeroAlloc<System>;

/// For a `#[global_allocator]`, which only the binary can have.
pub const WIPING_ALLOCATOR: WipingAllocator = ZeroAlloc(System);

/// The kernel did not do what [`no_core_dumps`] asks for.
#[cfg(target_os = "linux")]
#[derive(Debug, thiserror::Error)]
#[error(
    "a crash may still write the memory to a file ({call}: {source}): allow this call where the process is confined"
)]
pub struct Refused {
    call: &'static str,
    source: io::Error,
}

/// Makes the kernel write no core dump of this process, and let no other process of its user look into it.
///
/// It sets the limit RLIMIT_CORE to 0 permanently, and removes PR_SET_DUMPABLE (prctl(2)). Only the flag counts where cores are
/// piped to a program, which ignores the limit; the limit stays when the process changes its user, which can bring the flag
/// back.
///
/// The price: a crash leaves nothing to debug; no debugger, `strace` or profiler of the same user attaches; and `/proc/self/*`
/// belongs to root, so a process that is not root cannot open its own `environ`, `fd` or `mem` through it. Programs that this
/// process starts have the limit, but not the flag.
///
/// It does not keep out root, or a process with CAP_SYS_PTRACE, and what was dumped or opened before stays.
///
/// # Errors
///
/// A seccomp filter forbids it.
#[cfg(target_os = "linux")]
pub fn no_core_dumps() -> Result<(), Refused> {
    let refused = |call| {
        move |errno: nix::errno::Errno| Refused {
            call,
            source: errno.into(),
        }
    };
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(refused("setrlimit(RLIMIT_CORE)"))?;
    set_dumpable(false).map_err(refused("prctl(PR_SET_DUMPABLE)"))
}
