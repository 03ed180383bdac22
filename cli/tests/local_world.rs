//! `rotatectl local`: the local world's own commands, by the operator's name for them.

#![cfg(test)]
#![cfg(feature = "local")]

mod common;

use common::{Up, at};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

#[test]
fn a_world_comes_up_tells_its_schedule_and_goes_with_ctrl_c() {
    let mut up = Up::start(&["--function", "/bin/true"]);
    let schedule = ["local", "schedule", "--json"];
    let output = at(up.endpoint(), &schedule).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said.lines().count(), 3, "{said}");
    assert!(said.contains("\"secret\":\"demo/orders/single\""), "{said}");

    let id = Pid::from_raw(up.process.id().try_into().unwrap());
    kill(id, Signal::SIGINT).unwrap();
    assert!(up.process.wait().unwrap().success());
}
