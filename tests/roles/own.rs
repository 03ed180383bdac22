//! Settings and grants that only the clone has: it keeps them, and the advice of the warning repairs the difference.

use super::*;

#[tokio::test]
async fn a_clone_with_its_own_grants_acts_as_itself_until_they_are_the_bases() {
    let world = world().await;
    let (base, clone) = (world.alternating_role().to_owned(), clone(&world));
    clone_of_awss(&world).await;
    let database = in_the_database(&world).await;
    let sql = format!("CREATE TABLE granted (id int); GRANT SELECT ON granted TO {clone}");
    database.batch_execute(&sql).await.unwrap();
    let rotation = turn(&world).await;
    session(&world)
        .await
        .batch_execute("SELECT FROM granted")
        .await
        .unwrap();
    assert_eq!(acts_as(&world).await, clone);
    let said = warnings(&rotation, "CloneHasOwn");
    let grant = format!("GRANT SELECT ON granted TO {base}");
    database.batch_execute(&grant).await.unwrap();
    database.batch_execute(&cure(&said[0])).await.unwrap();
    turn(&world).await;
    let rotation = turn(&world).await;
    assert!(warnings(&rotation, "CloneHasOwn").is_empty());
    assert_eq!(acts_as(&world).await, base);
    session(&world)
        .await
        .batch_execute("SELECT FROM granted")
        .await
        .unwrap();
}

#[tokio::test]
async fn default_privileges_of_a_clone_are_not_a_warning() {
    let world = world().await;
    clone_of_awss(&world).await;
    let sql = format!(
        "ALTER DEFAULT PRIVILEGES FOR ROLE {} GRANT SELECT ON TABLES TO PUBLIC",
        clone(&world)
    );
    in_the_database(&world)
        .await
        .batch_execute(&sql)
        .await
        .unwrap();
    let rotation = turn(&world).await;
    assert!(warnings(&rotation, "CloneHasOwn").is_empty());
    assert_eq!(acts_as(&world).await, *world.alternating_role());
}

#[tokio::test]
async fn a_membership_of_only_the_clone_is_named_with_the_statement_that_ends_it() {
    let world = world().await;
    let base = world.alternating_role();
    turn(&world).await;
    turn(&world).await;
    let sql = format!(
        "CREATE ROLE payroll_{base}; GRANT payroll_{base} TO {base}, {}",
        clone(&world)
    );
    execute(&world, &sql).await;
    is_cured_as_it_says(&world, "CloneHasOwn").await;
}

/// From PostgreSQL 16 on, a REVOKE removes only the same grantor's grants. Without any, it only warns.
#[tokio::test]
async fn a_membership_of_only_the_clone_that_an_administrator_granted_is_named_with_the_statement_that_ends_it()
 {
    let world = world().await;
    let (base, admin) = (world.alternating_role(), administrator(&world));
    turn(&world).await;
    turn(&world).await;
    let payroll = format!("payroll_{base}");
    let sql = format!(
        "CREATE ROLE {payroll}; GRANT {payroll} TO {admin} WITH ADMIN OPTION; GRANT {payroll} TO {base}; SET ROLE {admin}; \
         GRANT {payroll} TO {}; RESET ROLE",
        clone(&world)
    );
    execute(&world, &sql).await;
    is_cured_as_it_says(&world, "CloneHasOwn").await;
}

/// A person has set the parameter on the clone; the warning is about the clone, not about the base.
#[tokio::test]
async fn a_setting_of_only_the_clone_that_the_administrator_may_not_reset_is_named_with_the_statement_that_resets_it()
 {
    let world = world().await;
    turn(&world).await;
    turn(&world).await;
    let clone = clone(&world);
    execute(
        &world,
        &format!("ALTER ROLE {clone} SET log_statement = 'mod'"),
    )
    .await;
    let said = warnings(&turn(&world).await, "NotReset");
    execute(&world, &cure(&said[0])).await;
    assert_eq!(settings(&world, &clone).await, "");
}
