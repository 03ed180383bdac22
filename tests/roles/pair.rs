//! Nobody but the pair: a role that only has the other one's name is not taken over, and none is made for a name's sake.

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

/// A secret of a user that happens to be called so.
#[tokio::test]
async fn a_user_whose_name_ends_in_clone_and_who_has_no_base_is_refused_and_nothing_is_made() {
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

/// `report` and `report_clone`, of two secrets that know nothing of each other; whichever rotates first.
#[tokio::test]
async fn two_roles_that_are_no_pair_are_left_alone_whichever_of_them_is_current() {
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
