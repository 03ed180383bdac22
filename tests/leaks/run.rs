//! A world in which everything runs, and what is left of it at the end: its secrets, and all texts in which one might stand.

use std::{collections::BTreeMap, fs};

use local::{postgres::Settings, world::World};
use postgres_protocol::password::scram_sha_256;
use secrecy::ExposeSecret;

use crate::{
    application::Application,
    commands::Commands,
    common::{execute, options_with, start},
    function::Drive,
    processes::Watch,
    search::{Kind, Place, Secrets},
    stores,
};

/// The function, an application beside it, and rotatectl.
pub(crate) struct Run {
    pub(crate) drive: Drive,
    application: Application,
    commands: Commands,
    watch: Watch,
}

impl Run {
    /// On a server with this configuration.
    pub(crate) async fn begin(conf: &str) -> Self {
        let mut secrets = Secrets::default();
        let watch = Watch::begin();
        let (of_the_function, of_others) = (access(&mut secrets), access(&mut secrets));
        let mut variables = vec![("LOG_LEVEL", "TRACE")];
        // the local Lambda sets the key's id itself
        let others = of_the_function.iter().skip(1);
        variables.extend(others.map(|(name, value)| (*name, value.as_str())));
        let settings = Settings {
            conf: conf.to_owned(),
            ..Settings::default()
        };
        let options = options_with(&variables)
            .own_postgres(settings)
            .with_key_service();
        let world = start(options).await;
        // else it refuses more than one rotation within an overlap window
        world.key_service().unwrap().set_limit(99);
        let rotated = [world.single_user(), world.alternating_users()];
        let application = Application::start(&world, "the_application", &rotated, &of_others).await;
        let drive = Drive {
            world,
            secrets,
            answers: String::new(),
            token: String::new(),
        };
        Self {
            drive,
            application,
            commands: Commands::new(&of_others),
            watch,
        }
    }

    /// Runs rotatectl with these arguments and this input; returns its exit code and its output.
    pub(crate) async fn rotatectl(&mut self, arguments: &str, typed: &str) -> (i32, String) {
        let code = self.commands.run(&self.drive.world, arguments, typed).await;
        self.drive.collect_verifiers().await;
        (code, self.commands.said())
    }

    /// Everything of rotatectl that succeeds.
    pub(crate) async fn rotatectl_succeeds(&mut self) {
        let world = &self.drive.world;
        let (one, two, key) = (
            world.single_user(),
            world.alternating_users(),
            world.api_key(),
        );
        for arguments in [
            "status".to_owned(), "status --json".to_owned(),
            format!("doctor {one}"), format!("doctor {two} --json"), format!("doctor {key}"),
            format!("rotate {one} --yes --wait"), format!("rotate {two} {key} --yes --wait --force"),
            format!("rollback {two} --yes"), format!("revoke {one} --yes"), format!("revoke {two} --yes --json"),
            format!("compromised {one} --yes"), format!("compromised {two} --yes --json"), format!("compromised {key} --yes"),
            "init new/db --username leaks_new --administrator demo/admin --function secret-rotation --yes".to_owned(),
            "init new/other --username leaks_other --administrator demo/admin --single-user --yes --json".to_owned(),
            format!("drill {two} --yes --duration 1s --workers 1 --report drill.html"),
        ] {
            let (code, said) = self.rotatectl(&arguments, "").await;
            // 2 from status and doctor: something is overdue
            assert!(matches!(code, 0 | 2), "{arguments}: {code}: {said}");
        }
    }

    /// Everything of rotatectl that fails, after [`Drive::fails_soon`] has made the secrets for it.
    pub(crate) async fn rotatectl_fails(&mut self) {
        for arguments in [
            "status",
            "status --json",
            "doctor malformed/0",
            "doctor malformed/8 --json",
            "doctor elsewhere/port",
            "rotate malformed/1 --yes --wait",
            "rotate elsewhere/host --yes --wait",
            "compromised malformed/2 --yes",
            "compromised elsewhere/port --yes --json",
            "revoke malformed/3 --yes",
            "rollback malformed/4 --yes",
            "init malformed/5 --username leaks_new --administrator demo/admin --yes",
            "init new/third --username leaks_new --administrator demo/admin --yes",
            "init new/fourth --username leaks_fourth --administrator malformed/6 --yes",
            "drill malformed/7 --yes --duration 1s --report malformed.html",
            "drill elsewhere/port --yes --duration 1s --report elsewhere.html",
        ] {
            self.rotatectl(arguments, "").await;
        }
    }

    /// A person has changed the role's password, and types it for `doctor --repair`: first a wrong one.
    pub(crate) async fn a_person_repairs(&mut self) {
        let [wrong, right] = [(); 2].map(|()| self.drive.new_secret(Kind::Password));
        let (role, verifier) = (self.drive.world.role(), scram_sha_256(right.as_bytes()));
        let change = format!("ALTER ROLE {role} PASSWORD '{verifier}'");
        execute(&self.drive.world, &change).await;
        let repair = format!("doctor {} --repair --yes", self.drive.world.single_user());
        for (typed, expected) in [(wrong, 1), (right, 0)] {
            let (code, said) = self.rotatectl(&repair, &format!("{typed}\n")).await;
            assert_eq!(code, expected, "{said}");
        }
    }

    /// Ends it, and returns its secrets, the texts, and the world.
    pub(crate) fn end(self) -> (Secrets, Vec<Place>, World) {
        let Drive {
            world,
            mut secrets,
            answers,
            ..
        } = self.drive;
        let mut places = self.application.end(&mut secrets);
        places.extend(self.commands.end());
        places.push(Place::new("the function's answers", answers));
        let lines = world.function().log().into_iter().map(|line| line.text);
        let log = lines.collect::<Vec<_>>().join("\n");
        // it has no line below INFO; the metrics are lines too
        assert!(log.contains("\"level\":\"INFO\"") && log.contains("\"CloudWatchMetrics\""));
        places.push(Place::new("the function's log and metrics", log));
        let calls = format!("{:?}", world.secrets_manager().calls());
        places.push(Place::new("the calls of the local world", calls));
        for (arguments, environment) in self.watch.end() {
            let name = String::from_utf8_lossy(&arguments).replace('\0', " ");
            places.push(Place::new(format!("the arguments of {name}"), arguments));
            let environment = Place::new(format!("the environment of {name}"), environment);
            // Lambda, too, puts a process's credentials into its environment
            places.push(environment.that_may_hold(&[Kind::Access]));
        }
        collect(&world, &mut secrets);
        (secrets, places, world)
    }
}

/// New credentials with which a process reads the store.
fn access(secrets: &mut Secrets) -> BTreeMap<&'static str, String> {
    let mut access = BTreeMap::from([("AWS_ACCESS_KEY_ID", "AKIAANYBODY".to_owned())]);
    for variable in ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
        let secret = stores::for_a_header();
        secrets.add(Kind::Access, &secret);
        access.insert(variable, secret);
    }
    access
}

/// Adds the secrets that the services made, and those that they received.
fn collect(world: &World, secrets: &mut Secrets) {
    for value in world.secrets_manager().secrets() {
        secrets.add_value(value.expose_secret());
    }
    for key in world.key_service().unwrap().ever() {
        secrets.add(Kind::Key, key.expose_secret());
    }
    let postgres = world.postgres();
    secrets.add(
        Kind::Password,
        postgres.superuser_password().expose_secret(),
    );
    let key = fs::read_to_string(postgres.folder().join("data/server.key")).unwrap();
    for line in key.lines().filter(|line| !line.starts_with('-')) {
        secrets.add(Kind::PrivateKey, line);
    }
}
