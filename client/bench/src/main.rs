//! Measures reads from caches, and prints one JSON document. `make bench` compares its figures and writes the page.

mod expired;
mod reads;

use std::{env, process::Command};

use rotating_secret_bench::subjects;
use serde_json::{Value, json};

fn main() {
    // a development build measures nothing of use: it shows that everything runs
    let (turns, rounds) = match cfg!(debug_assertions) {
        true => (1, 1),
        false => (9, 5),
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let subjects = runtime.block_on(subjects::all());
    let figures = json!({
        "reads": reads::measure(&subjects, turns, rounds),
        "allocations": allocations(),
        "expired": expired::measure(),
    });
    println!("{figures}");
}

/// Allocations of a read, from the process that counts them.
fn allocations() -> Value {
    let here = env::current_exe().expect("this executable");
    let counted = Command::new(here.with_file_name("allocations")).output();
    let counted = counted.expect("it is built with this one").stdout;
    serde_json::from_slice(&counted).expect("JSON")
}
