//! A delayed delivery goes on when its change is no longer valid: it sees that while it holds the lock.

use std::time::Duration;

use local::secrets_manager::{Behavior, Fault, Hang, When, labels::Promotion};
use secret_rotation::{
    document::Document,
    engine::{
        Engine as _, EngineError, Limits, Login, Proven,
        postgres::{Kept, Postgres as Engine, Roots},
    },
};

use super::*;

/// Holds the lock of a pair of roles, and reports when another session waits for it.
struct Lock(Client);

impl Lock {
    async fn of(world: &World, base: &str) -> Self {
        let client = in_the_database(world).await;
        let lock = "SELECT pg_advisory_lock(hashtext('secret-rotation'), hashtext($1))";
        client.query_one(lock, &[&base]).await.unwrap();
        Self(client)
    }

    async fn is_waited_for(&self) {
        let waits = "SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
                     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        while !self
            .0
            .query_one(waits, &[])
            .await
            .unwrap()
            .get::<_, bool>(0)
        {}
    }

    async fn release(&self) {
        self.0
            .batch_execute("SELECT pg_advisory_unlock_all()")
            .await
            .unwrap();
    }
}

/// A delivery waits for the lock; something happens; the delivery goes on.
async fn held_up(
    world: &World,
    secret: &str,
    step: &str,
    base: &str,
    meanwhile: impl AsyncFnOnce(),
) -> Result<Value, local::invocation::FunctionError> {
    let lock = Lock::of(world, base).await;
    let (invoked, ()) = tokio::join!(invoke(world, secret, step), async {
        lock.is_waited_for().await;
        meanwhile().await;
        lock.release().await;
    });
    invoked.outcome
}

#[tokio::test]
async fn a_late_set_secret_changes_nothing_if_its_token_is_no_longer_staged() {
    let world = world().await;
    for (secret, base) in [
        (world.single_user(), world.role()),
        (world.alternating_users(), world.alternating_role()),
    ] {
        stage_up_to(&world, secret, "setSecret").await;
        let roles =
            "SELECT string_agg(a::text, ' ' ORDER BY oid) FROM pg_authid a WHERE rolname LIKE";
        let roles = format!("{roles} '{base}%'");
        let before: String = ask(&world, &roles).await;
        let late = held_up(&world, secret, "setSecret", base, async || {
            let same = current(&world, secret).await;
            put(&world, secret, same).await;
        });
        let error = late.await.unwrap_err();
        assert_error(&error, "TokenUnknown", "no version of the secret");
        assert_eq!(ask::<String>(&world, &roles).await, before, "{secret}");
        log_in(&world, &current(&world, secret).await)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_late_finish_secret_does_not_limit_a_user_that_is_current_again() {
    for world in [warm_world().await, world().await] {
        let (secret, base) = (world.alternating_users(), world.alternating_role());
        stage_up_to(&world, secret, "finishSecret").await;
        let late = held_up(&world, secret, "finishSecret", base, async || {
            make_current(&world, secret, TOKEN).await;
            let next = "22222222-2222-4333-8444-555555555555";
            world.secrets_manager().stage(secret, next).unwrap();
        });
        assert_eq!(late.await.unwrap()["outcome"], "already current");
        let bounded = format!(
            "SELECT coalesce(rolvaliduntil < 'infinity', false) FROM pg_roles WHERE rolname = '{base}'"
        );
        assert!(!ask::<bool>(&world, &bounded).await);
    }
}

#[tokio::test]
async fn a_late_revoke_secret_does_not_end_a_user_that_is_current_again() {
    let world = world().await;
    let (secret, base) = (world.alternating_users(), world.alternating_role());
    assert!(rotate(&world, secret).await.succeeded);
    let late = held_up(&world, secret, "revokeSecret", base, async || {
        let previous = version(&world, secret, "AWSPREVIOUS").await;
        make_current(&world, secret, previous.as_str()).await;
    });
    late.await.unwrap_err();
    log_in(&world, &current(&world, secret).await)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_late_rollback_secret_changes_nothing_if_the_labels_have_moved() {
    let world = common::world_where(Promotion::DropsPending).await;
    let (secret, base) = (world.alternating_users(), world.alternating_role());
    assert!(rotate(&world, secret).await.succeeded);
    let (bad, good) = (
        version(&world, secret, "AWSCURRENT").await,
        version(&world, secret, "AWSPREVIOUS").await,
    );
    let bounded = format!("SELECT rolvaliduntil::text FROM pg_roles WHERE rolname = '{base}'");
    let bound: String = ask(&world, &bounded).await;
    let late = held_up(&world, secret, "rollbackSecret", base, async || {
        make_current(&world, secret, good.as_str()).await;
    });
    let error = late.await.unwrap_err();
    assert_error(&error, "LabelsMoved", "this one moved none");
    assert_eq!(version(&world, secret, "AWSCURRENT").await, good);
    assert_eq!(version(&world, secret, "AWSPREVIOUS").await, bad);
    assert_eq!(ask::<String>(&world, &bounded).await, bound);
}

#[tokio::test]
async fn secrets_manager_that_does_not_answer_while_the_lock_is_held_is_an_error_and_changes_nothing()
 {
    let mut options = options();
    options.function_timeout = Duration::from_secs(10);
    let world = start(options).await;
    let secret = world.single_user();
    stage_up_to(&world, secret, "setSecret").await;
    let (first, hang) = (Hang::default(), Hang::default());
    first.release();
    for hang in [&first, &hang] {
        let behavior = Behavior::Hang(When::BeforeEffect, hang.clone());
        world
            .secrets_manager()
            .inject(Fault::on("GetSecretValue", behavior));
    }
    let error = fails(&world, secret, "setSecret").await;
    assert_error(&error, "StoreUnreachable", "while a role was locked");
    hang.release();
    assert_eq!(outcome(&world, secret, "setSecret").await, "changed");
}

/// The process is frozen, as Lambda does: it does not run, and the server's clock goes on.
#[tokio::test]
async fn a_process_that_is_frozen_while_it_holds_the_lock_finds_its_transaction_ended_and_nothing_changed()
 {
    let world = world().await;
    let document = current(&world, world.single_user()).await;
    let parse = |document: &Value| Document::parse(&document.to_string().into()).unwrap();
    let (old, new) = (parse(&document), {
        let mut new = document.clone();
        new["password"] = "too late".into();
        parse(&new)
    });
    let settings = secret_rotation::settings::Settings::read(|_| None).unwrap();
    let (roots, kept) = (
        Roots::new(Some(world.postgres().ca_file())),
        Kept::default(),
    );
    let engine = Engine::new(
        &roots,
        &kept,
        &settings,
        Limits::of(Duration::from_secs(10)),
    );
    let proven = async || {
        let Login::Accepted(session) = engine.log_in(&old).await? else {
            panic!("rejected");
        };
        Ok(Some(Proven {
            session,
            administrator: None,
        }))
    };
    let (port, password) = (
        world.postgres().port(),
        world
            .postgres()
            .superuser_password()
            .expose_secret()
            .to_owned(),
    );
    let role = world.role().to_owned();
    let frozen = async || {
        // blocks this thread's runtime until the server has ended the session
        std::thread::spawn(move || until_it_is_ended(port, &password, &role))
            .join()
            .unwrap();
        Ok::<_, EngineError>(Some(new))
    };
    let changed = engine.change(&old, proven, frozen).await;
    let error = changed.unwrap_err();
    assert_eq!(error.error_type(), "LeaseOver", "{error}");
    log_in(&world, &document).await.unwrap();
}

fn until_it_is_ended(port: u16, password: &str, role: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut config = tokio_postgres::Config::new();
        config
            .host("localhost")
            .port(port)
            .user(Postgres::SUPERUSER)
            .password(password);
        config
            .dbname("postgres")
            .ssl_mode(tokio_postgres::config::SslMode::Disable);
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let open = "SELECT count(*) > 0 FROM pg_stat_activity WHERE usename = $1";
        while client
            .query_one(open, &[&role])
            .await
            .unwrap()
            .get::<_, bool>(0)
        {}
    });
}
