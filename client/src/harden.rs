//! Less of a secret in memory: an allocator that wipes what it frees, and no core dumps.
//!
//! This crate wipes its own copy of a credential when the last guard of it goes. But a password also passes through
//! an HTTP client, TLS, a JSON parser and a driver, which free their buffers as they are. Whoever reads the process's
//! memory later (a core dump, `/proc/<pid>/mem`, an over-read) finds it there. With the allocator they find what is
//! in use, and nothing of what was:
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
//! After the last handle (the pools and connections included) no copy of a password is left on heap or stacks, and a
//! password that was replaced is gone as soon as nobody holds a guard of it and the pools have let its connections
//! go. `tests/harden.rs` looks for them in a process that lives through a hand-over.
//!
//! # What it costs
//!
//! A `memset` for each block that is freed, and growing a vector always copies it: the allocator may not move pages.
//!
//! # What is not wiped
//!
//! - What is in use: the credential in force, as document and as password; in sqlx's pool its options; and the last
//!   answer in the buffer of an HTTPS connection that the AWS SDK keeps for the next question. A client that the
//!   application shares with [`Aws`](crate::provider::Aws) keeps that connection beyond the last handle, until it is
//!   idle for too long.
//! - Copies that the application makes: `expose_secret().to_owned()` in something that lives on, or an array on
//!   the stack.
//! - What no allocator sees: registers, stack frames that have returned until others are laid over them, and what
//!   is allocated in C.
//! - Pages that went elsewhere: swap, a suspended machine's disk, a snapshot, the kernel's socket buffers. `mlock` and
//!   encrypted swap are the machine's to decide.
//! - The other ends: the database server, the provider, a proxy.
//! - What is never freed: what leaks, and all that a process holds when it ends. The kernel clears such pages before
//!   it gives them to another process.

use std::alloc::System;
#[cfg(target_os = "linux")]
use std::io;

#[cfg(target_os = "linux")]
use nix::sys::{
    prctl::set_dumpable,
    resource::{Resource, setrlimit},
};
use zeroizing_alloc::ZeroAlloc;

/// The system's allocator, and what is freed is wiped first.
pub type WipingAllocator = ZeroAlloc<System>;

/// To be put into a `#[global_allocator]`, which only the binary can have.
pub const WIPING_ALLOCATOR: WipingAllocator = ZeroAlloc(System);

/// The kernel did not do what [`no_core_dumps`] asks of it.
#[cfg(target_os = "linux")]
#[derive(Debug, thiserror::Error)]
#[error(
    "a crash may still write the memory to a file ({call}: {source}): allow this call where the process is confined"
)]
pub struct Refused {
    call: &'static str,
    source: io::Error,
}

/// Has the kernel write no core dump of this process, and let no other process of its user look into it.
///
/// It sets the limit RLIMIT_CORE to 0 for good, and takes PR_SET_DUMPABLE away (prctl(2)). The flag alone counts where
/// cores are piped to a program, which ignores the limit; the limit stays when the process changes its user, which can
/// bring the flag back.
///
/// The price: a crash leaves nothing to debug; no debugger, `strace` or profiler of the same user attaches; and
/// `/proc/self/*` belongs to root, so that a process that is not root can't open its own `environ`, `fd` or `mem`
/// through it. Programs that this one starts have the limit, not the flag.
///
/// It does not keep out root, or whoever has CAP_SYS_PTRACE, and what was dumped or opened before stays.
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
