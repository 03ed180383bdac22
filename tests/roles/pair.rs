//! Only the pair: a role that merely has the other user's name is not taken over, and no role is made because of a name alone.

use super::*;

async fn refused(world: &World, kind: &str) -> String {
    let secret = world.alternating_users();
    stage_up_to(world, secret, "setSecret").await;
    let known = "SELECT count(*) FROM pg_roles WHERE rolname LIKE '%$%'";
    let roles = known.replace('$', world.alternating_role());
    let before: i64 = ask(world, &roles).await;
    let error = fails(world, secret, "setSecret").await;
    assert_eq!(error.error_type, kind, "{error}");
    assert_eq!(ask::<i64>(world, &roles).await, before);
    cure(&error.error_message)
}

/// A secret of a user that happens to have this name.
#[tokio::test]
async fn a_user_whose_name_ends_in_clone_and_has_no_base_is_refused_and_nothing_is_made() {
    let world = world().await;
    let (base, admin) = (world.alternating_role(), administrator(&world));
    let lonely = format!("lonely_{base}");
    let sql = format!(
        "CREATE ROLE {lonely}_clone LOGIN PASSWORD 'lonely'; GRANT {lonely}_clone TO {admin} WITH ADMIN OPTION"
    );
    execute(&world, &sql).await;
    let mut document = current(&world, world.alternating_users()).await;
    document["username"] = format!("{lonely}_clone").into();
    document["password"] = "lonely".into();
    put(&world, world.alternating_users(), document).await;
    let cure = refused(&world, "NoBaseRole").await;
    execute(&world, &cure).await;
    let granted = format!("GRANT {lonely} TO {admin} WITH ADMIN OPTION");
    execute(&world, &granted).await;
    outcome(&world, world.alternating_users(), "setSecret").await;
}

/// `report` and `report_clone` belong to two independent secrets; either can rotate first.
#[tokio::test]
async fn two_roles_that_are_not_a_pair_are_left_alone_with_either_one_current() {
    for current_is_the_clone in [false, true] {
        let world = world().await;
        let (base, admin, clone) = (
            world.alternating_role(),
            administrator(&world),
            clone(&world),
        );
        let sql = format!(
            "CREATE ROLE {clone} LOGIN PASSWORD 'own'; GRANT {clone} TO {admin} WITH ADMIN OPTION"
        );
        execute(&world, &sql).await;
        if current_is_the_clone {
            let mut document = current(&world, world.alternating_users()).await;
            document["username"] = clone.as_str().into();
            document["password"] = "own".into();
            put(&world, world.alternating_users(), document).await;
        }
        let cure = refused(&world, "NoPair").await;
        assert_eq!(cure, format!("GRANT \"{base}\" TO \"{clone}\""));
        execute(&world, &cure).await;
        outcome(&world, world.alternating_users(), "setSecret").await;
    }
}

/// Before PostgreSQL 15, a role may grant itself to any role.
#[tokio::test]
async fn a_role_that_grants_itself_to_another_one_does_not_make_a_pair() {
    let world = world().await;
    if release(&world).await >= 15 {
        return;
    }
    let (secret, base) = (world.alternating_users(), world.alternating_role());
    let clone = clone(&world);
    execute(&world, &format!("CREATE ROLE {clone} LOGIN PASSWORD 'own'")).await;
    let grant = format!("GRANT {base} TO {clone}");
    session(&world).await.batch_execute(&grant).await.unwrap();
    let cure = refused(&world, "NoPair").await;
    execute(&world, &cure).await;
    outcome(&world, secret, "setSecret").await;
}

/// The old user's session is still open, or its password has leaked.
#[tokio::test]
async fn a_role_that_revokes_itself_from_its_clone_blocks_nothing_at_its_turn() {
    let world = world().await;
    if release(&world).await >= 15 {
        return;
    }
    let (secret, base) = (world.alternating_users(), world.alternating_role());
    let old = session(&world).await;
    turn(&world).await;
    let revoke = format!("REVOKE {base} FROM {}", clone(&world));
    old.batch_execute(&revoke).await.unwrap();
    common::revoke(&world, secret).await.unwrap();
    for _ in 0..3 {
        turn(&world).await;
        assert_eq!(acts_as(&world).await, *base);
    }
}

/// Quotes, capitals, and the longest name that can have a clone.
#[tokio::test]
async fn users_of_any_name_take_turns_are_revoked_and_rolled_back() {
    for name in ["O'Brien \"the \\ app\"", "pgx_ÄÖ, $user", "none of it; --"] {
        let world = world().await;
        let (secret, admin) = (world.alternating_users(), administrator(&world));
        let mut name = format!("{} {name}", world.alternating_role());
        while name.len() < 57 {
            name.push('x');
        }
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        let sql = format!(
            "CREATE ROLE {quoted} LOGIN PASSWORD 'first'; GRANT {quoted} TO {admin} WITH ADMIN OPTION; \
             ALTER ROLE {quoted} SET search_path TO \"$user\", 'it''s, \"quoted\"', public; \
             ALTER ROLE {quoted} SET application_name TO 'a=b ''c'' \\d \"e\"'"
        );
        execute(&world, &sql).await;
        let mut document = current(&world, secret).await;
        document["username"] = name.as_str().into();
        document["password"] = "first".into();
        put(&world, secret, document).await;
        for _ in 0..3 {
            let rotation = turn(&world).await;
            assert!(warnings(&rotation, "NotCopied").is_empty(), "{rotation:?}");
            assert_eq!(acts_as(&world).await, name);
        }
        let all = "SELECT count(DISTINCT s.setconfig) FROM (SELECT array_agg(c ORDER BY c) AS setconfig FROM pg_db_role_setting, \
                   unnest(setconfig) c WHERE c NOT LIKE 'role=%' AND setrole IN (SELECT oid FROM pg_roles WHERE rolname LIKE '$%') \
                   GROUP BY setrole) s";
        let all = all.replace('$', &format!("{} ", world.alternating_role()));
        assert_eq!(ask::<i64>(&world, &all).await, 1, "the same for both");
        common::rollback(&world, secret).await.unwrap();
        session(&world).await;
        common::revoke(&world, secret).await.unwrap();
        turn(&world).await;
    }
}
