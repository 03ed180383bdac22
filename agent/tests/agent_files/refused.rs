//! Where no secret is written: directories and tables that are refused.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    path::Path,
};

use nix::unistd::{Uid, geteuid};

use super::{
    PLAIN,
    common::{
        Agent, TOKEN, command, create,
        folder::{Place, SHORT, document},
        until,
    },
};

/// What the agent prints about these settings before it listens.
fn said_of(endpoint: &str, own: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.toml");
    fs::write(&file, format!("endpoint = \"{endpoint}\"\n{own}")).unwrap();
    let mut command = command();
    command.env("AWS_TOKEN", TOKEN);
    let output = command.arg("--settings").arg(&file).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{own}\n{said}");
    said
}

#[tokio::test]
async fn no_secret_is_written_where_another_user_could_put_something_in_its_place() {
    let place = Place::new().await;
    let said = said_of(
        &place.endpoint,
        &place.table("\n[[files]]\nsecret = \"a\"\ndirectory = \"/proc/absent/out\""),
    );
    assert!(said.contains("/proc/absent"), "{said}");

    let (open, link) = (place.beside("open"), place.beside("link"));
    fs::create_dir(&open).unwrap();
    symlink(&open, &link).unwrap();
    let table = |path: &Path, more: &str| {
        format!(
            "[[files]]\nsecret = \"a\"\ndirectory = \"{}\"\n{more}",
            path.display()
        )
    };
    let of_mode = |mode| fs::set_permissions(&open, fs::Permissions::from_mode(mode)).unwrap();
    for (path, mode, told) in [
        (link.clone(), 0o755, "symbolic link"),
        (link.join("out"), 0o755, "symbolic link"),
        (open.join("out"), 0o777, "mode 0777"),
        (open.join("out"), 0o775, "mode 0775"),
        // a sticky folder is accepted above the directory, but not as the directory
        (open.clone(), 0o1777, "mode 1777"),
    ] {
        of_mode(mode);
        let said = said_of(&place.endpoint, &table(&path, ""));
        assert!(said.contains(told), "{told}: {said}");
    }
    if geteuid().is_root() {
        of_mode(0o755);
        chown(&open, Some(4711), None).unwrap();
        let said = said_of(&place.endpoint, &table(&open.join("out"), ""));
        assert!(said.contains("belongs to user 4711"), "{said}");
        chown(&open, Some(Uid::effective().as_raw()), None).unwrap();
    }
    // a volume that containers share
    of_mode(0o777);
    create(&place.service, "a", &document("orders", "one")).await;
    let _agent = Agent::start(
        &place.endpoint,
        SHORT,
        &table(&open.join("out"), "shared_parent = true"),
    );
    until(async || {
        open.join("out/current/pg_service.conf")
            .exists()
            .then_some(())
    })
    .await;
    // one directory belongs to one agent
    let said = said_of(
        &place.endpoint,
        &table(&open.join("out"), "shared_parent = true"),
    );
    assert!(said.contains("another agent writes there"), "{said}");
}

#[tokio::test]
async fn a_user_who_may_read_the_directory_cannot_lock_the_agent_out() {
    let place = Place::with_login().await;
    fs::create_dir(place.directory()).unwrap();
    let held = fs::File::open(place.directory()).unwrap();
    held.try_lock().unwrap();
    let _agent = place.agent(PLAIN);
    place.holds("password", "one").await;
    // the agent's own lock is for its user alone
    let lock = fs::metadata(place.directory().join(".lock")).unwrap();
    assert_eq!(lock.mode() & 0o7777, 0o600);
}

#[tokio::test]
async fn nothing_is_written_through_what_another_user_has_put_there() {
    let place = Place::with_login().await;
    let (directory, victim) = (place.directory(), place.beside("victim"));
    fs::create_dir(&directory).unwrap();
    fs::write(&victim, "untouched").unwrap();
    for name in ["current", ".next", ".told"] {
        symlink(&victim, directory.join(name)).unwrap();
    }
    let _agent = place.agent(PLAIN);
    place.holds("password", "one").await;
    // a link in place of an existing file
    let password = place.file("password");
    fs::remove_file(&password).unwrap();
    symlink(&victim, &password).unwrap();
    until(async || (!place.file("password").is_symlink()).then_some(())).await;
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
}

#[tokio::test]
async fn every_mistake_in_the_tables_is_reported_before_anything_starts() {
    let said = |lines: &str| {
        said_of(
            "http://127.0.0.1:1",
            &format!("[[files]]\nsecret = \"a\"\n{lines}"),
        )
    };
    let there = "directory = \"/run/out\"\n";
    for (lines, told) in [
        ("", "missing field `directory`"),
        ("directory = \"out\"", "no absolute path"),
        ("directory = \"/run/../etc\"", "no absolute path"),
        ("directory = \"/run/./out\"", "no absolute path"),
        ("directory = \"/\"", "no absolute path"),
        (
            "directory = \"/run/out\"\n[[files]]\nsecret = \"b\"\ndirectory = \"/run/out\"",
            "that of another table",
        ),
        (&format!("{there}mode = \"0644\""), "none of 0400"),
        (&format!("{there}mode = \"four\""), "none of 0400"),
        (
            &format!("{there}owner = \"nobody-of-that-name\""),
            "knows no such user",
        ),
        (
            &format!("{there}owner = \"0:no-such-group\""),
            "knows no such group",
        ),
        (
            &format!("{there}mode = \"0640\"\nwrite = [{{ format = \"pgpass\" }}]"),
            "mode = \"0640\": libpq ignores a pgpass",
        ),
        (
            &format!("{there}write = [{{ format = \"xml\" }}]"),
            "unknown variant `xml`",
        ),
        (
            &format!("{there}write = [{{ nmae = \"a\" }}]"),
            "unknown field `nmae`",
        ),
        (
            &format!("{there}write = [{{ name = \"../a\" }}]"),
            "no file's name",
        ),
        (
            &format!("{there}write = [{{}}, {{}}]"),
            "another file has the same name",
        ),
        (
            &format!("{there}write = [{{ format = \"json\", key = \"a\" }}]"),
            "key = \"a\": it belongs to the format plain",
        ),
        (
            &format!("{there}write = [{{ format = \"env\", service = \"a\" }}]"),
            "service = \"a\": it belongs to the format pg_service",
        ),
        (
            &format!("{there}write = [{{ values = {{ A = \"a\" }} }}]"),
            "values: it belongs to the format env",
        ),
        (
            &format!("{there}write = [{{ format = \"env\", values = {{ A-B = \"a\" }} }}]"),
            "A-B is no variable's name",
        ),
        (
            &format!("{there}write = [{{ service = \"a]\" }}]"),
            "no service's name",
        ),
        (
            &format!("{there}write = [{{ parameters = {{ password = \"a\" }} }}]"),
            "password comes from the secret",
        ),
        (
            &format!("{there}write = [{{ parameters = {{ service = \"a\" }} }}]"),
            "libpq refuses service",
        ),
        (
            &format!("{there}after = {{ command = [] }}"),
            "command = []: it is empty",
        ),
        (
            &format!("{there}after = {{ command = [\"a\"], within = \"soon\" }}"),
            "within = \"soon\": write a time",
        ),
        (
            &format!("{there}after = {{ signal = \"HANG\", pid_file = \"/run/pid\" }}"),
            "signal = \"HANG\": it is no signal",
        ),
        (
            &format!("{there}after = {{ signal = \"HUP\" }}"),
            "signal and pid_file",
        ),
        (
            &format!("{there}after = {{ signal = \"HUP\", pid_file = \"/p\", command = [\"a\"] }}"),
            "signal and pid_file",
        ),
    ] {
        let said = said(lines);
        assert!(said.contains(told), "{told}: {said}");
    }
    assert!(!Path::new("/run/out").exists());
}
