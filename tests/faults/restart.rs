//! The server stops during a COMMIT, and comes back.

use super::*;
use proxy::{Proxy, Side};

/// Kills a process of the server: PostgreSQL then ends all others but the first, and recovers its data.
async fn crash(world: &World) {
    let superuser = world.postgres().superuser_client().await.unwrap();
    let answer = superuser.query_one("SELECT pg_backend_pid()", &[]).await;
    let process: i32 = answer.unwrap().get(0);
    shell(&format!("kill -KILL {process}"));
    until("it is gone", async || superuser.is_closed()).await;
    let is_back = async || world.postgres().superuser_client().await.is_ok();
    until("it is back", is_back).await;
}

#[tokio::test]
async fn a_server_restart_during_a_commit_is_not_reported_as_done_and_the_retry_completes_it() {
    let settings = Settings {
        tls: false,
        ..Settings::default()
    };
    let world = start(options().own_postgres(settings)).await;
    let proxy = Proxy::before(world.postgres().port()).await;
    by_port(&world, proxy.port, false).await;
    for secret in [world.single_user(), world.alternating_users()] {
        for side in [Side::Before, Side::After] {
            let case = format!("{secret}, {side:?} COMMIT");
            let token = uuid::Uuid::new_v4().to_string();
            world.secrets_manager().stage(secret, &token).unwrap();
            step(&world, secret, &token, "createSecret").await.unwrap();
            proxy.stop_at_query("COMMIT", side);
            let (set, ()) = tokio::join!(step(&world, secret, &token, "setSecret"), async {
                proxy.stopped().await;
                crash(&world).await;
            });
            // the outcome is unknown, and the error says so
            assert_error(&set.unwrap_err(), "DatabaseUnreachable", "");
            assert_nobody_is_locked_out(&world, secret, &case).await;
            for name in STEPS {
                let outcome = step(&world, secret, &token, name).await;
                assert!(outcome.is_ok(), "{case}, {name}: {outcome:?}");
            }
            let current = current(&world, secret).await;
            assert!(log_in(&world, &current).await.is_ok(), "{case}");
        }
    }
}
