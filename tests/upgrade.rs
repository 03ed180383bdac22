//! A new release takes over in the middle of a rotation: at any boundary of its steps, and back again.
//!
//! The function as it was before it took locks and leases takes turns with this one. It is built from the repository's
//! history, which takes minutes: `make verify` runs this.

#![cfg(test)]

mod common;

use std::{
    env::var_os,
    fs::{Permissions, create_dir_all, rename, set_permissions, write},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

use common::{
    STEPS, assert_nobody_is_locked_out, current, gets_in, invoke, options, rotate, stage, start,
};
use local::world::World;
use tempfile::TempDir;

/// The commit of the former function.
const BEFORE: &str = "4f524dd";

/// The release that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Release {
    Before,
    This,
}

/// The former release's function.
static BUILT_BEFORE: LazyLock<PathBuf> = LazyLock::new(built_before);

/// Builds it into a folder below this target's.
fn built_before() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let folder = target.join(format!("release-{BEFORE}"));
    let source = folder.join("source");
    create_dir_all(&source).unwrap();
    let mut archive = Command::new("git")
        .args(["archive", BEFORE])
        .current_dir(root)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let unpacked = Command::new("tar")
        .arg("-x")
        .arg("-C")
        .arg(&source)
        .stdin(archive.stdout.take().unwrap())
        .status();
    assert!(
        archive.wait().unwrap().success() && unpacked.unwrap().success(),
        "the commit {BEFORE} is not here: git fetch --unshallow"
    );
    let built = Command::new("cargo")
        .args([
            "build",
            "--locked",
            "--bin",
            "secret-rotation",
            "--target-dir",
        ])
        .arg(&folder)
        .current_dir(&source)
        .status();
    assert!(built.unwrap().success());
    // it does not know `private:`
    let script = format!(
        "#!/bin/sh\nALLOWED_HOSTS=\"${{ALLOWED_HOSTS#private:}}\" exec {}\n",
        folder.join("debug/secret-rotation").display()
    );
    let wrapper = folder.join("bootstrap");
    write(&wrapper, script).unwrap();
    set_permissions(&wrapper, Permissions::from_mode(0o755)).unwrap();
    wrapper
}

/// A function whose release can change between two steps.
struct Function {
    folder: TempDir,
}

impl Function {
    fn new() -> Self {
        let function = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        function.deploy(Release::This);
        function
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("bootstrap")
    }

    /// From the next step on: each step has its own process.
    fn deploy(&self, release: Release) {
        let executable = match release {
            Release::Before => BUILT_BEFORE.as_path(),
            Release::This => Path::new(env!("CARGO_BIN_EXE_secret-rotation")),
        };
        let next = self.path().with_extension("next");
        symlink(executable, &next).unwrap();
        rename(next, self.path()).unwrap();
    }
}

/// Each order in which the releases may run the four steps.
fn orders() -> impl Iterator<Item = [Release; 4]> {
    (0..16).map(|bits| {
        [0, 1, 2, 3].map(|step| match bits >> step & 1 {
            0 => Release::Before,
            _ => Release::This,
        })
    })
}

/// The kinds of secrets of a world with a key service.
fn secrets(world: &World) -> [&'static str; 3] {
    [
        world.single_user(),
        world.alternating_users(),
        world.api_key(),
    ]
}

/// A world in which the releases take turns.
async fn world(function: &Function) -> World {
    // built before a step's time limit starts
    LazyLock::force(&BUILT_BEFORE);
    let mut options = options().with_key_service();
    options.function = function.path();
    let world = start(options).await;
    // room for the keys whose overlap is not over
    world.key_service().unwrap().set_limit(10);
    world
}

/// Runs a step, which must succeed and lock no client out.
async fn run(world: &World, secret: &str, step: &str, case: &str) {
    let invoked = invoke(world, secret, step).await;
    let case = format!("{secret}, {case}, {step}");
    assert!(invoked.outcome.is_ok(), "{case}: {:?}", invoked.outcome);
    assert_nobody_is_locked_out(world, secret, &case).await;
}

/// The new version is current and logs in, and the next rotations succeed.
async fn assert_it_goes_on(world: &World, function: &Function, secret: &str, case: &str) {
    assert!(
        gets_in(world, &current(world, secret).await).await,
        "{case}"
    );
    for release in [Release::This, Release::Before, Release::This] {
        function.deploy(release);
        let rotation = rotate(world, secret).await;
        assert!(
            rotation.succeeded,
            "{secret}, {case}, then {release:?}: {rotation:?}"
        );
        assert!(
            gets_in(world, &current(world, secret).await).await,
            "{case}"
        );
    }
}

#[tokio::test]
#[ignore = "make verify: builds the function of another commit"]
async fn a_release_may_change_between_any_two_steps_in_either_direction() {
    for order in orders() {
        let function = Function::new();
        let world = world(&function).await;
        for secret in secrets(&world) {
            let case = format!("{order:?}");
            let replaced = current(&world, secret).await;
            stage(&world, secret);
            for (step, release) in STEPS.into_iter().zip(order) {
                function.deploy(release);
                run(&world, secret, step, &case).await;
            }
            assert_ne!(current(&world, secret).await, replaced, "{secret}, {case}");
            assert_it_goes_on(&world, &function, secret, &case).await;
        }
    }
}

#[tokio::test]
#[ignore = "make verify: builds the function of another commit"]
async fn each_release_completes_the_others_rotation_and_late_deliveries_do_no_harm() {
    let directions = [
        (Release::Before, Release::This),
        (Release::This, Release::Before),
    ];
    for ((first, second), done) in directions
        .into_iter()
        .flat_map(|direction| (1..4).map(move |done| (direction, done)))
    {
        let function = Function::new();
        let world = world(&function).await;
        for secret in secrets(&world) {
            let case = format!("{done} steps by {first:?}, then {second:?}");
            stage(&world, secret);
            function.deploy(first);
            for step in &STEPS[..done] {
                run(&world, secret, step, &case).await;
            }
            function.deploy(second);
            for step in STEPS {
                run(&world, secret, step, &case).await;
            }
            function.deploy(first);
            for step in STEPS {
                run(&world, secret, step, &format!("{case}, late")).await;
            }
            assert_it_goes_on(&world, &function, secret, &case).await;
        }
    }
}
