//! What it tries to gain: a role, the administrator's session, another application's password, a longer life of its own password.

use super::*;

/// Everything that the application may do in its database and its schemas to trap other sessions.
#[tokio::test]
async fn the_owner_of_a_database_and_its_schemas_gets_no_rights_from_other_sessions() {
    let world = world().await;
    let (secret, base, admin) = (
        world.alternating_users(),
        world.alternating_role(),
        administrator(&world),
    );
    execute(
        &world,
        &format!("ALTER DATABASE {} OWNER TO {base}", world.dbname()),
    )
    .await;
    let client = application(&world, secret).await;
    let traps = format!(
        "CREATE SCHEMA trap; \
         CREATE FUNCTION trap.grab() RETURNS text LANGUAGE plpgsql AS $$ BEGIN \
             EXECUTE 'GRANT {admin} TO {base}'; RETURN 'x'; EXCEPTION WHEN OTHERS THEN RETURN 'x'; END $$; \
         CREATE FUNCTION trap.hashtext(text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM trap.grab(); RETURN 1; END $$; \
         CREATE VIEW trap.pg_roles AS SELECT trap.grab() AS rolname; \
         CREATE VIEW trap.pg_shdepend AS SELECT trap.grab() AS refobjid; \
         CREATE FUNCTION trap.pg_has_role(oid, oid, text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN PERFORM trap.grab(); RETURN true; END $$; \
         ALTER DATABASE {} SET search_path TO trap, pg_catalog; \
         ALTER ROLE {base} SET search_path TO trap, pg_catalog",
        world.dbname()
    );
    client.batch_execute(&traps).await.unwrap();
    for _ in 0..3 {
        let rotation = rotate(&world, secret).await;
        assert!(rotation.succeeded, "{rotation:?}");
    }
    revoke(&world, secret).await.unwrap();
    let member = format!("SELECT pg_has_role('{base}', '{admin}', 'MEMBER')");
    assert!(!ask::<bool>(&world, &member).await);
}

/// The clone may alter the base, and the base the clone if the clone acts as it: neither can remove its own `VALID UNTIL` for long.
#[tokio::test]
async fn a_user_cannot_extend_its_own_expiry() {
    let world = start(options_with(&[("OVERLAP_WINDOW", "1h")])).await;
    let secret = world.alternating_users();
    let leaked = current(&world, secret).await;
    let old = application(&world, secret).await;
    assert!(rotate(&world, secret).await.succeeded);
    let base = world.alternating_role();
    let longer = format!("ALTER ROLE {base} VALID UNTIL 'infinity'");
    assert!(old.batch_execute(&longer).await.is_err(), "no CREATEROLE");
    assert!(is_bounded(&world).await);
    revoke(&world, secret).await.unwrap();
    common::assert_rejected(log_in(&world, &leaked).await);
}

/// A table that it fills, a temporary table that it leaves, a lock on a catalog's row: it may do all this.
#[tokio::test]
async fn objects_in_public_with_the_names_of_catalogs_are_not_used() {
    let world = world().await;
    for secret in [world.single_user(), world.alternating_users()] {
        let client = application(&world, secret).await;
        let sql = "CREATE TABLE public.pg_authid (rolname name, rolpassword text); CREATE TABLE public.pg_locks (pid int); \
                   CREATE TEMPORARY TABLE pg_stat_activity (pid int)";
        client.batch_execute(sql).await.unwrap();
        let rotation = rotate(&world, secret).await;
        assert!(rotation.succeeded, "{rotation:?}");
        client
            .batch_execute("DROP TABLE public.pg_authid, public.pg_locks")
            .await
            .unwrap();
    }
    both_rotate(&world).await;
    revoke(&world, world.alternating_users()).await.unwrap();
}
