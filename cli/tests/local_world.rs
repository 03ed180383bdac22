//! `rotatectl local`: the local world's own commands, by the operator's name for them.

#![cfg(test)]
#![cfg(feature = "local")]

mod common;

use common::{Up, assert_of_schema, at};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

#[test]
fn a_world_starts_prints_its_schedule_and_ends_with_ctrl_c() {
    let mut up = Up::start(&["--function", "/bin/true"]);
    let schedule = ["local", "schedule", "--json"];
    let output = at(up.endpoint(), &schedule).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said.lines().count(), 3, "{said}");
    assert!(said.contains("\"secret\":\"demo/orders/single\""), "{said}");
    let advance = [&schedule[..], &["--advance", "30d"]].concat();
    let output = at(up.endpoint(), &advance).output().unwrap();
    let advanced = String::from_utf8(output.stdout).unwrap();
    assert!(advanced.contains("\"event\":\"begun\""), "{advanced}");
    for line in said.lines().chain(advanced.lines()) {
        assert_of_schema(&serde_json::from_str(line).unwrap());
    }

    let id = Pid::from_raw(up.process.id().try_into().unwrap());
    kill(id, Signal::SIGINT).unwrap();
    assert!(up.process.wait().unwrap().success());
}
