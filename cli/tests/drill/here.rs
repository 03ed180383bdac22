//! In a local world of the command's own.

use snapbox::{assert_data_eq, str};

use crate::{Drill, common::at};

#[test]
fn a_drill_of_a_secret_shows_that_no_request_failed() {
    let drill = Drill::here(&["demo/orders/single", "--duration", "2s", "--rotations", "2"]);
    drill.assert_ended_with(0);
    drill.assert_plain();
    assert_data_eq!(
        drill.stdout(),
        str![[r#"
┌[..]┐
│ connections              ┆                  ┆ rotating-secret │
╞[..]╡
│ a connection per request ┆ requests         ┆ [..] │
│                          ┆ failed           ┆               0 │
│                          ┆ slowest, ms      ┆ [..] │
│                          ┆ changed over, ms ┆ [..] │
│ deadpool-postgres        ┆ requests         ┆ [..] │
│                          ┆ failed           ┆               0 │
│                          ┆ slowest, ms      ┆ [..] │
│                          ┆ changed over, ms ┆ [..] │
│ bb8                      ┆ requests         ┆ [..] │
│                          ┆ failed           ┆               0 │
│                          ┆ slowest, ms      ┆ [..] │
│                          ┆ changed over, ms ┆ [..] │
│ sqlx                     ┆ requests         ┆ [..] │
│                          ┆ failed           ┆               0 │
│                          ┆ slowest, ms      ┆ [..] │
│                          ┆ changed over, ms ┆ [..] │
└[..]┘
  changed over: from finishSecret until the last worker used the new version;
                median, and longest if that differs
✔ [..] requests, 0 failed; all changed over within [..] ms

2 rotations; 0 of [..] requests failed.
report: [..]/report.html

"#]]
    );
    let report = drill.report();
    assert!(report.contains("demo/orders/single"), "{report}");
}

#[test]
fn without_a_secret_and_without_local_the_error_says_what_to_give() {
    let drill = Drill::run(&[]);
    drill.assert_ended_with(1);
    assert!(drill.stderr().contains("<SECRET>"), "{}", drill.stderr());
}

#[test]
fn a_report_file_that_cannot_be_written_is_an_error_before_anything_is_rotated() {
    let place = ["drill", "--local", "--function", "/bin/true", "--report"];
    let mut command = at("http://127.0.0.1:1", &place);
    let output = command.arg("/nowhere/report.html").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_data_eq!(
        output.stderr,
        str![[r#"
rotatectl: the report cannot be written to /nowhere/report.html (No such file or directory (os error 2)): name another file with --report

"#]]
    );
}
