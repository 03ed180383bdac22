//! `ownerrole` grants no role, and does not take from the application rights that only the base role has.

use super::*;

async fn with_owner(world: &World) -> String {
    let (base, admin) = (world.alternating_role(), administrator(world));
    let owner = format!("owner_of_{base}");
    let sql = format!(
        "CREATE ROLE {owner}; GRANT {owner} TO {base}; GRANT {owner} TO {admin} WITH ADMIN OPTION; \
         GRANT CREATE ON SCHEMA public TO {owner}; ALTER TABLE stock OWNER TO {owner}"
    );
    in_the_database(world)
        .await
        .batch_execute(&sql)
        .await
        .unwrap();
    let mut document = current(world, world.alternating_users()).await;
    document["ownerrole"] = owner.as_str().into();
    put(world, world.alternating_users(), document).await;
    owner
}

/// The application would lose each of them; the rows of a policy would disappear without an error.
#[tokio::test]
async fn an_owner_role_without_the_rights_of_the_base_is_an_obstacle() {
    for (what, made, cured) in [
        (
            "grants",
            "CREATE TABLE t (id int); GRANT SELECT ON t TO base",
            "GRANT SELECT ON t TO owner",
        ),
        (
            "policies",
            "CREATE TABLE t (id int); ALTER TABLE t OWNER TO owner; ALTER TABLE t ENABLE ROW LEVEL SECURITY; \
             CREATE POLICY p ON t TO base USING (true)",
            "DROP POLICY p ON t; CREATE POLICY p ON t TO base, owner USING (true)",
        ),
        (
            "objects",
            "CREATE TABLE t (id int); ALTER TABLE t OWNER TO base",
            "REASSIGN OWNED BY base TO owner",
        ),
        (
            "a schema of its name",
            "CREATE SCHEMA base",
            "ALTER SCHEMA base RENAME TO schema_of_base",
        ),
        (
            "default privileges",
            "ALTER DEFAULT PRIVILEGES FOR ROLE base GRANT SELECT ON TABLES TO PUBLIC",
            "ALTER DEFAULT PRIVILEGES FOR ROLE base REVOKE SELECT ON TABLES FROM PUBLIC",
        ),
    ] {
        let world = world().await;
        let secret = world.alternating_users();
        let owner = with_owner(&world).await;
        let database = in_the_database(&world).await;
        let named = |sql: &str| {
            let words = sql
                .split(' ')
                .map(|word| match word.trim_end_matches([';', ',']) {
                    "base" => word.replace("base", world.alternating_role()),
                    "owner" => word.replace("owner", &owner),
                    _ => word.to_owned(),
                });
            words.collect::<Vec<_>>().join(" ")
        };
        database.batch_execute(&named(made)).await.unwrap();
        stage_up_to(&world, secret, "setSecret").await;
        let error = fails(&world, secret, "setSecret").await;
        assert_error(&error, "OwnerRoleLacks", what);
        database.batch_execute(&named(cured)).await.unwrap();
        outcome(&world, secret, "setSecret").await;
    }
}

#[tokio::test]
async fn the_operator_can_declare_that_the_owner_role_was_tried() {
    let world = world().await;
    let secret = world.alternating_users();
    let owner = with_owner(&world).await;
    let base = world.alternating_role();
    let sql = format!("CREATE TABLE t (id int); GRANT SELECT ON t TO {base}");
    in_the_database(&world)
        .await
        .batch_execute(&sql)
        .await
        .unwrap();
    stage_up_to(&world, secret, "setSecret").await;
    let error = failure(&world, secret, "setSecret").await;
    let meant = error.error_message.rsplit_once("tested, run ").unwrap().1;
    execute(&world, meant).await;
    outcome(&world, secret, "setSecret").await;
    assert_eq!(acts_as(&world).await, owner);
}

/// From PostgreSQL 16 on, a membership can exclude SET ROLE.
#[tokio::test]
async fn an_owner_role_that_the_base_may_not_act_as_is_an_obstacle_whose_cure_works() {
    let world = world().await;
    if release(&world).await < 16 {
        return;
    }
    let secret = world.alternating_users();
    let owner = with_owner(&world).await;
    let base = world.alternating_role();
    execute(&world, &format!("GRANT {owner} TO {base} WITH SET FALSE")).await;
    stage_up_to(&world, secret, "setSecret").await;
    let error = fails(&world, secret, "setSecret").await;
    assert_eq!(error.error_type, "OwnerRoleNotGranted", "{error}");
    execute(&world, &cure(&error.error_message)).await;
    outcome(&world, secret, "setSecret").await;
    outcome(&world, secret, "testSecret").await;
}
