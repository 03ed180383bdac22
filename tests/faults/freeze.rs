//! Lambda freezes an environment, perhaps for an hour, and thaws it: SIGSTOP and SIGCONT. In the meantime its connections have closed.

use std::time::Duration;

use proxy::{Proxy, Side};

use super::*;

/// Ends the sessions of the secrets' roles and the administrator's, as the server does by itself after a minute.
async fn end_sessions(world: &World) {
    let ended = format!(
        "SELECT count(pg_terminate_backend(pid, 60000)) FROM pg_stat_activity WHERE usename LIKE '{}%' \
         OR usename LIKE '{}%' OR usename = '{}'",
        world.role(),
        world.alternating_role(),
        administrator(world),
    );
    ask::<i64>(world, &ended).await;
}

#[tokio::test]
async fn an_environment_that_thaws_between_two_steps_continues_without_its_old_connections() {
    let world = start(warm(options())).await;
    for secret in [world.single_user(), world.alternating_users()] {
        stage_up_to(&world, secret, "createSecret").await;
        for step in STEPS {
            outcome(&world, secret, step).await;
            let [process] = world.function().processes()[..] else {
                panic!("one environment");
            };
            shell(&format!("kill -STOP {process}"));
            end_sessions(&world).await;
            shell(&format!("kill -CONT {process}"));
        }
        log_in(&world, &current(&world, secret).await)
            .await
            .unwrap();
    }
    assert_eq!(world.function().environments(), 1);
}

#[tokio::test]
async fn a_step_that_is_frozen_in_its_transaction_changes_nothing_after_another_one_has_completed()
{
    let settings = Settings {
        tls: false,
        ..Settings::default()
    };
    let mut options = options().own_postgres(settings);
    // its time limit goes on while it is frozen
    options.function_timeout = Duration::from_secs(300);
    let world = start(options).await;
    let proxy = Proxy::before(world.postgres().port()).await;
    by_port(&world, proxy.port, false).await;
    for secret in [world.single_user(), world.alternating_users()] {
        stage_up_to(&world, secret, "setSecret").await;
        proxy.stop_at_query("COMMIT", Side::Before);
        let (late, ()) = tokio::join!(invoke(&world, secret, "setSecret"), async {
            proxy.stopped().await;
            let [process] = world.function().busy()[..] else {
                panic!("one environment");
            };
            shell(&format!("kill -STOP {process}"));
            end_sessions(&world).await;
            all_steps(&world, secret).await;
            shell(&format!("kill -CONT {process}"));
        });
        let error = late.outcome.unwrap_err();
        assert!(
            ["DatabaseUnreachable", "DatabaseRefused", "DatabaseTimedOut"]
                .contains(&error.error_type.as_str()),
            "{error}"
        );
        log_in(&world, &current(&world, secret).await)
            .await
            .unwrap();
        assert!(rotate(&world, secret).await.succeeded);
    }
}
