//! The role that the sessions of the base role and of the clone act as.

use super::*;

/// Each way to set the base role to act as a group: each of its sessions does, and so do the clone's.
#[tokio::test]
async fn a_base_that_acts_as_a_role_has_a_clone_that_acts_as_it_too() {
    for set in [
        "ALTER ROLE base SET role TO group",
        "ALTER ROLE base IN DATABASE database SET role TO group",
        "ALTER DATABASE database SET role TO group",
        "ALTER ROLE base SET role TO none; ALTER DATABASE database SET role TO group",
        "ALTER ROLE base IN DATABASE database SET role TO none; ALTER ROLE base SET role TO group",
    ] {
        let world = world().await;
        let base = world.alternating_role();
        let group = format!("group_of_{base}");
        let sql = format!("CREATE ROLE {group}; GRANT {group} TO {base}; {set}");
        let sql = sql.replace("group;", &format!("{group};"));
        let sql = sql
            .replace("TO group", &format!("TO {group}"))
            .replace("group_of_base", &group);
        let sql = sql
            .replace("ROLE base", &format!("ROLE {base}"))
            .replace("DATABASE database", &format!("DATABASE {}", world.dbname()));
        execute(&world, &sql).await;
        let of_the_base = acts_as(&world).await;
        let none = set.contains("none");
        assert_eq!(of_the_base, if none { base } else { &group }, "{set}");
        for turn_of in ["the clone", "the base", "the clone"] {
            turn(&world).await;
            assert_eq!(acts_as(&world).await, of_the_base, "{turn_of}: {set}");
        }
    }
}

/// A role that is set to act as a role that it may not become acts as itself.
#[tokio::test]
async fn a_base_that_is_set_to_act_as_a_role_and_cannot_rotates_with_a_warning_whose_cure_works() {
    let world = world().await;
    let base = world.alternating_role();
    let group = format!("group_of_{base}");
    execute(
        &world,
        &format!("CREATE ROLE {group}; ALTER ROLE {base} SET role TO {group}"),
    )
    .await;
    let rotation = turn(&world).await;
    assert_eq!(acts_as(&world).await, *base);
    let said = warnings(&rotation, "ActingForbidden");
    assert!(
        said[0].contains(&format!("GRANT \"{group}\" TO \"{base}\"")),
        "{said:?}"
    );
    turn(&world).await;
    execute(&world, &format!("GRANT {group} TO {base}")).await;
    let rotation = turn(&world).await;
    assert_eq!(acts_as(&world).await, group);
    assert!(warnings(&rotation, "ActingForbidden").is_empty());
}

/// If the role no longer exists, only the second of the two printed statements can run.
#[tokio::test]
async fn a_role_that_users_cannot_act_as_is_named_with_the_statement_that_corrects_the_setting() {
    for set in [
        "ALTER ROLE base SET role TO nobody",
        "ALTER ROLE base IN DATABASE shop SET role TO nobody",
    ] {
        let world = world().await;
        let base = world.alternating_role();
        let nobody = format!("nobody_{base}");
        execute(&world, &format!("CREATE ROLE {nobody}")).await;
        let set = set
            .replace("base", base)
            .replace("shop", world.dbname())
            .replace("nobody", &nobody);
        execute(&world, &set).await;
        execute(&world, &format!("DROP ROLE {nobody}")).await;
        let said = warnings(&turn(&world).await, "ActingForbidden");
        let correct = said[0].rsplit_once("; ").unwrap().1;
        execute(&world, correct).await;
        turn(&world).await;
        let said = warnings(&turn(&world).await, "ActingForbidden");
        assert!(said.is_empty(), "{set}: {said:?}");
    }
}

/// A grant of that role to the base would give one application the rights of another one.
#[tokio::test]
async fn a_role_setting_for_all_users_of_another_database_is_not_a_warning() {
    let (world, other) = (world().await, world().await);
    let theirs = format!("theirs_{}", other.role());
    let sql = format!(
        "CREATE ROLE {theirs}; ALTER DATABASE {} SET role TO {theirs}",
        other.dbname()
    );
    execute(&other, &sql).await;
    let said = warnings(&turn(&world).await, "ActingForbidden");
    assert!(said.is_empty(), "{said:?}");
    assert_eq!(acts_as(&world).await, *world.alternating_role());
}

/// From PostgreSQL 16 on, a membership can exclude SET ROLE, and a plain GRANT does not change that.
#[tokio::test]
async fn a_membership_that_does_not_let_the_base_act_as_the_role_is_named_with_the_grant() {
    let world = world().await;
    if release(&world).await < 16 {
        return;
    }
    let base = world.alternating_role();
    let group = format!("group_of_{base}");
    let sql = format!(
        "CREATE ROLE {group}; GRANT {group} TO {base} WITH SET FALSE; ALTER ROLE {base} SET role TO {group}"
    );
    execute(&world, &sql).await;
    let said = warnings(&turn(&world).await, "ActingForbidden");
    let grant = cure(&said[0]);
    let grant = grant
        .trim_start_matches("one of ")
        .split(';')
        .next()
        .unwrap();
    execute(&world, grant).await;
    turn(&world).await;
    let said = warnings(&turn(&world).await, "ActingForbidden");
    assert!(said.is_empty(), "{said:?}");
    assert_eq!(acts_as(&world).await, group);
}
