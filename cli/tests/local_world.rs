//! `rotatectl local`: the local world's own commands, by the operator's name for them.

#![cfg(test)]
#![cfg(feature = "local")]

mod common;

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
};

use common::{assert_of_schema, at};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

struct Up(Child);

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_world_starts_prints_its_schedule_and_ends_with_ctrl_c() {
    let function = ["--function", "/bin/true"];
    let up = ["local", "up", "--port", "0"];
    let mut up = at("http://127.0.0.1:1", &[&up[..], &function[..]].concat());
    let up = up.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut up = Up(up.spawn().unwrap());
    let mut line = String::new();
    let stdout = up.0.stdout.as_mut().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line:?}"));

    let endpoint = ready["endpoint"].as_str().unwrap();
    let schedule = ["local", "schedule", "--json"];
    let output = at(endpoint, &schedule).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said.lines().count(), 3, "{said}");
    assert!(said.contains("\"secret\":\"demo/orders/single\""), "{said}");
    let advance = [&schedule[..], &["--advance", "30d"]].concat();
    let output = at(endpoint, &advance).output().unwrap();
    let advanced = String::from_utf8(output.stdout).unwrap();
    assert!(advanced.contains("\"event\":\"begun\""), "{advanced}");
    for line in said.lines().chain(advanced.lines()) {
        assert_of_schema(&serde_json::from_str(line).unwrap());
    }

    let id = Pid::from_raw(up.0.id().try_into().unwrap());
    kill(id, Signal::SIGINT).unwrap();
    assert!(up.0.wait().unwrap().success());
}
