//! Changes that a database's administrator makes to the base role stay, and reach the clone.

use super::*;

#[tokio::test]
async fn a_setting_of_the_base_made_while_the_clone_is_current_stays_and_reaches_the_clone_at_its_turn()
 {
    let world = world().await;
    let base = world.alternating_role();
    turn(&world).await;
    let sql = format!(
        "ALTER ROLE {base} CONNECTION LIMIT 19; ALTER ROLE {base} SET work_mem TO '7MB'; \
         ALTER ROLE {base} IN DATABASE {} SET lock_timeout TO '11s'",
        world.dbname()
    );
    execute(&world, &sql).await;
    turn(&world).await;
    let limit = async |role: &str| {
        let question = format!("SELECT rolconnlimit FROM pg_roles WHERE rolname = '{role}'");
        ask::<i32>(&world, &question).await
    };
    assert_eq!(limit(base).await, 19);
    assert_eq!(
        settings(&world, base).await,
        "lock_timeout=11s work_mem=7MB"
    );
    turn(&world).await;
    assert_eq!(limit(&clone(&world)).await, 19);
    assert_eq!(
        settings(&world, &clone(&world)).await,
        "lock_timeout=11s work_mem=7MB"
    );
}

#[tokio::test]
async fn a_clone_of_awss_function_takes_nothing_from_the_base() {
    let world = world().await;
    let base = world.alternating_role();
    let sql =
        format!("ALTER ROLE {base} SET work_mem TO '7MB'; ALTER ROLE {base} CONNECTION LIMIT 19");
    execute(&world, &sql).await;
    current_clone_of_awss(&world).await;
    turn(&world).await;
    assert_eq!(settings(&world, base).await, "work_mem=7MB");
    let limit = format!("SELECT rolconnlimit FROM pg_roles WHERE rolname = '{base}'");
    assert_eq!(ask::<i32>(&world, &limit).await, 19);
}

#[tokio::test]
async fn a_role_granted_to_the_base_reaches_both_and_a_revoked_one_ends_for_both() {
    let world = world().await;
    let base = world.alternating_role();
    let payroll = format!("payroll_{base}");
    let sql = format!(
        "CREATE ROLE {payroll}; GRANT {payroll} TO {base}; CREATE TABLE salaries (id int); ALTER TABLE salaries OWNER TO {payroll}"
    );
    in_the_database(&world)
        .await
        .batch_execute(&sql)
        .await
        .unwrap();
    let reads = async || {
        let session = session(&world).await;
        session.batch_execute("SELECT FROM salaries").await.is_ok()
    };
    turn(&world).await;
    assert!(reads().await, "the clone");
    execute(&world, &format!("REVOKE {payroll} FROM {base}")).await;
    assert!(!reads().await, "the clone, at once");
    for _ in 0..3 {
        turn(&world).await;
        assert!(!reads().await);
    }
}
