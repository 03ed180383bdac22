//! Questions that are sent together: the server answers one with an error, and the later ones with "current transaction is aborted".

use super::*;

#[tokio::test]
async fn an_error_names_the_catalog_that_the_administrator_may_not_read() {
    for (step, catalog) in [
        ("setSecret", "pg_auth_members"),
        ("setSecret", "pg_shdepend"),
        ("finishSecret", "pg_auth_members"),
    ] {
        let world = start(options().own_postgres(Settings::default())).await;
        let secret = world.alternating_users();
        stage_up_to(&world, secret, step).await;
        let revoke = format!("REVOKE SELECT ON {catalog} FROM PUBLIC");
        let superuser = in_the_database(&world).await;
        superuser.batch_execute(&revoke).await.unwrap();
        let error = fails(&world, secret, step).await;
        let said =
            format!("permission denied for table {catalog}): as a superuser, grant it that right");
        assert_error(&error, "AdministratorForbidden", &said);
    }
}

#[tokio::test]
async fn a_locked_catalog_is_a_timeout() {
    let mut options = options().own_postgres(Settings::default());
    options.function_timeout = std::time::Duration::from_secs(3);
    let world = start(options).await;
    let secret = world.alternating_users();
    stage_up_to(&world, secret, "setSecret").await;
    let lock = "BEGIN; LOCK TABLE pg_catalog.pg_shdepend";
    let holder = in_the_database(&world).await;
    holder.batch_execute(lock).await.unwrap();
    let error = failure(&world, secret, "setSecret").await;
    assert_error(&error, "DatabaseTimedOut", "no answer within");
    holder.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(outcome(&world, secret, "setSecret").await, "changed");
}
