//! The command line, and the configuration file of AWS's agent.

#![cfg(test)]

mod common;

use std::{fs, process::Output};

use common::{TOKEN, command};

/// What the agent prints about this file when it starts as AWS's agent does.
fn said_of(text: &str) -> (Output, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    fs::write(&file, text).unwrap();
    let mut command = command();
    // without a token it ends after reading its files
    let output = command
        .args(["sm", "start", "-c"])
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    (output, said)
}

fn is_understood(text: &str) -> String {
    let (_, said) = said_of(text);
    assert!(said.contains("there is no token"), "{text}\n{said}");
    said
}

fn is_refused(text: &str) -> String {
    let (output, said) = said_of(text);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(!said.contains("there is no token"), "{text}\n{said}");
    said
}

const NESTED: &str = r#"
[logging]
log_level = "WARN"
log_to_file = false

[capabilities.secrets_manager]
enabled = true
http_port = 2774
region = "eu-west-1"
path_prefix = "/v2/"
max_conn = 10
max_roles = 3
ignore_transient_errors = true

[capabilities.secrets_manager.cache]
ttl_seconds = 60
cache_size = 100

[capabilities.secrets_manager.security]
ssrf_headers = ["X-Own"]
ssrf_env_variables = ["OWN_TOKEN"]
"#;

#[test]
fn the_nested_form_is_read() {
    let said = is_understood(NESTED);
    assert!(said.contains("OWN_TOKEN"), "{said}");
}

#[test]
fn the_flat_form_is_read_and_numbers_may_have_quotes() {
    is_understood(
        "log_level = \"error\"\nhttp_port = \"2774\"\nttl_seconds = 0\ncache_size = \"7\"\nmax_conn = 5\nmax_roles = \"20\"\nregion = \"eu-west-1\"\nvalidate_credentials = false",
    );
    let said = is_refused("[capabilities.secrets_manager]\nhttp_port = \"2774\"");
    assert!(said.contains("config.toml:2: "), "{said}");
    let said = is_refused("http_port = \"many\"");
    assert!(
        said.contains("config.toml:1: http_port = \"many\": write a number"),
        "{said}"
    );
}

#[test]
fn the_two_forms_together_are_refused() {
    let said = is_refused("http_port = 2774\n[logging]\nlog_level = \"info\"");
    assert!(
        said.contains("config.toml:2: logging: keys stand at the root and in tables"),
        "{said}"
    );
}

#[test]
fn one_error_names_every_value_outside_its_limits() {
    let said = is_refused(
        "log_level = \"loud\"\nhttp_port = 80\nttl_seconds = 3601\ncache_size = 0\nmax_conn = 1001\nmax_roles = 0\npath_prefix = \"v1/\"\nssrf_headers = []\nssrf_env_variables = []\n[prefetch]\ncache_buffer_ratio = 1.5\nmax_jitter_seconds = 11\nsecrets = [{ secret_id = \"\" }, { secret_id = \"a\", role_arn = \"admin\" }]",
    );
    for place in [
        "1: log_level = \"loud\": ",
        "2: http_port = 80: ",
        "3: ttl_seconds = 3601: ",
        "4: cache_size = 0: ",
        "5: max_conn = 1001: ",
        "6: max_roles = 0: ",
        "7: path_prefix = \"v1/\": ",
        "8: ssrf_headers = []: ",
        "9: ssrf_env_variables = []: ",
        "11: cache_buffer_ratio = 1.5: ",
        "12: max_jitter_seconds = 11: ",
        "13: secret_id = \"\": ",
        "13: role_arn = \"admin\": ",
    ] {
        let is_told = |line: &str| line.contains(&format!("config.toml:{place}"));
        assert!(said.lines().any(is_told), "{place}: {said}");
    }
    assert_eq!(said.lines().count(), 13, "{said}");
}

#[test]
fn an_unknown_key_and_invalid_toml_are_reported_with_their_line() {
    let said = is_refused("http_port = 2774\nhttp_prot = 2775");
    assert!(
        said.contains("config.toml:2: unknown field `http_prot`"),
        "{said}"
    );
    let said = is_refused("http_port = 2774\nregion = ");
    assert!(said.contains("config.toml:2: "), "{said}");
}

#[test]
fn a_setting_without_effect_is_a_warning_and_not_an_error() {
    let said = is_understood(
        "[capabilities.acm]\nenabled = true\n[[capabilities.acm.certificates]]\ncertificate_arn = \"arn\"\n[logging]\nlog_to_file = true\n[capabilities.secrets_manager.prefetch]\nmax_jitter_seconds = 3\n[[capabilities.secrets_manager.prefetch.secrets]]\nsecret_id = \"a\"",
    );
    for told in ["capabilities.acm", "log_to_file"] {
        assert!(said.contains(told), "{told}: {said}");
    }
    assert!(!said.contains("prefetch"), "{said}");
}

#[test]
fn a_disabled_capability_ends_the_agent_with_success_and_one_line() {
    let (output, said) = said_of("[capabilities.secrets_manager]\nenabled = false");
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn our_own_file_is_checked_too_and_awss_agent_never_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.toml");
    for (text, told) in [
        (
            "overlap_window = \"soon\"",
            "own.toml:1: overlap_window = \"soon\": write a time",
        ),
        (
            "idle = \"1h\"\noverlap_window = \"4m\"",
            "own.toml:2: overlap_window = \"4m\": it is not above ttl_seconds = 300",
        ),
        ("http_port = 2774", "unknown field"),
    ] {
        fs::write(&file, text).unwrap();
        let output = command().arg("--settings").arg(&file).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(told), "{said}");
    }
    let absent = command()
        .args(["--config", "/absent/file"])
        .output()
        .unwrap();
    let said = String::from_utf8(absent.stderr).unwrap();
    assert!(said.contains("/absent/file"), "{said}");
}

/// Both files, all mistakes, and nothing else on standard error: an editor jumps to each.
#[test]
fn check_names_every_mistake_in_both_files_by_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let (config, settings) = (
        folder.path().join("awss.toml"),
        folder.path().join("own.toml"),
    );
    let awss = "[capabilities.acm]\nhttp_port = 1\n\n[capabilities.secrets_manager]\nregion = \"eu-west-1\"\nhttp_port = 80\n\
         [capabilities.secrets_manager.cache]\n# seconds\nttl_seconds = -1\n";
    let own = r#"idle = "never"
metrics_port = 80

[[files]]
secret = ""
directory = "out"
mode = "0644"
owner = "no-such-user"
after = { signal = "HANG", pid_file = "/run/pid" }

[[files]]
secret = "a"
directory = "/run/out"
[[files.write]]
name = "../a"
[[files.write]]
format = "json"
key = "a"

[[sockets]]
path = "socket"
users = ["no-such-user"]
groups = ["no-such-group"]
secrets = ["*"]
mode = "0777"

[[sockets]]
path = "/run/agent/socket"
secrets = ["*"]
"#;
    fs::write(&config, awss).unwrap();
    fs::write(&settings, own).unwrap();
    let output = command()
        .args(["--check", "--config"])
        .arg(&config)
        .arg("--settings")
        .arg(&settings)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let (config, settings) = (config.display(), settings.display());
    let expected = [
        format!("{config}:6: http_port = 80: "),
        format!("{config}:9: ttl_seconds = -1: "),
        format!("{settings}:1: idle = \"never\": "),
        format!("{settings}:2: metrics_port = 80: "),
        format!("{settings}:5: secret = \"\": "),
        format!("{settings}:6: directory = \"out\": "),
        format!("{settings}:7: mode = \"0644\": "),
        format!("{settings}:8: owner = \"no-such-user\": "),
        format!("{settings}:9: signal = \"HANG\": "),
        format!("{settings}:15: name = \"../a\": "),
        format!("{settings}:18: key = \"a\": "),
        format!("{settings}:21: path = \"socket\": "),
        format!("{settings}:22: users = [\"no-such-user\"]: "),
        format!("{settings}:23: groups = [\"no-such-group\"]: "),
        format!("{settings}:25: mode = \"0777\": "),
        // a key that is missing: its table
        format!("{settings}:27: users: "),
    ];
    for place in &expected {
        assert!(
            said.lines().any(|line| line.starts_with(place)),
            "{place}\n{said}"
        );
    }
    assert_eq!(said.lines().count(), expected.len(), "{said}");
}

#[test]
fn without_arguments_it_listens_where_awss_agent_listens() {
    use std::io::{BufRead, BufReader};
    let mut command = command();
    command
        .env("AWS_TOKEN", TOKEN)
        .stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let line = BufReader::new(child.stderr.take().unwrap()).lines().next();
    child.kill().unwrap();
    child.wait().unwrap();
    let line = line.unwrap().unwrap();
    // if another agent runs on this machine, the log says that the port cannot be used
    let is_there =
        line.contains("port=2773") || line.contains("port 2773 on 127.0.0.1 cannot be used");
    assert!(is_there, "{line}");
}

/// What `--check` prints about these two files.
fn check(awss: &str, own: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (config, settings) = (folder.path().join("c.toml"), folder.path().join("s.toml"));
    fs::write(&config, awss).unwrap();
    fs::write(&settings, own).unwrap();
    let mut command = command();
    command.env("AWS_TOKEN", TOKEN).arg("--check");
    command
        .arg("-c")
        .arg(&config)
        .arg("--settings")
        .arg(&settings);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

#[test]
fn a_mistake_shows_no_command_and_no_text_in_the_wrong_place_because_a_password_may_be_in_it() {
    let files = "[[files]]\nsecret = \"a\"\ndirectory = \"/run/a\"\n";
    for own in [
        "after = { command = [\"\", \"psql postgresql://u:hunter2@h\"] }",
        "after.command = [\"\", \"--password=hunter2\"]",
        "after = { command = \"psql \\\"postgresql://u:hunter2@h\\\", expected \" }",
        "write = [{ parameters = \"password=hunter2\" }]",
        "write = [{ parameters = { password = \"hunter2\" } }]",
        "write = [{ parameters.password = \"hunter2\" }]",
        "write = [{ format = \"env\", values = \"hunter2\" }]",
        "[[tokens]]\nfile = \"/run/token\"\nsecrets = \"hunter2\"",
        "[[tokens]]\ntoken = \"hunter2\"",
    ] {
        let said = check("", &format!("{files}{own}"));
        assert!(said.contains("s.toml:"), "{said}");
        assert!(!said.contains("hunter2"), "{own}: {said}");
    }
    let headers = "ssrf_headers = [\"X-Vault-Token\", \"X-Own: hunter2\"]";
    let said = check(headers, "");
    assert!(said.contains("c.toml:1: ssrf_headers: "), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn a_mistake_is_one_line_without_control_characters() {
    let socket = "[[sockets]]\npath = \"/run/a/b\"\nsecrets = [\"a\"]\n";
    let files =
        "[[files]]\nsecret = \"a\"\ndirectory = \"/run/a\"\n[[files.write]]\nformat = \"env\"\n";
    for own in [
        &*format!("{socket}users = [\"a\\u001b[2J\\ns.toml:1: fake\"]"),
        &format!("{socket}groups = [\"a\\u0085b\"]"),
        &format!("{files}values = {{ \"a\\nb\" = \"c\" }}"),
        "\"a\\u001b[2J\\nb\" = 1",
    ] {
        let said = check("", own);
        let is_clean = !said.trim_end_matches('\n').contains(char::is_control);
        assert!(is_clean, "{own}: {said:?}");
    }
}
