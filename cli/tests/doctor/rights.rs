//! Each missing right of the administrator is reported with the statement that grants it.

use super::*;

async fn version(world: &World) -> i32 {
    let client = world.postgres().superuser_client().await.unwrap();
    let question = "SELECT current_setting('server_version_num')::int";
    client.query_one(question, &[]).await.unwrap().get(0)
}

/// Takes it away, and has doctor tell how it is given back.
async fn is_reported_and_granted(world: &World, take: &str, action: &str, grant: &str) {
    let secret = world.alternating_users();
    execute(world, take).await;
    let said = doctor(world, &[secret], "").await;
    assert_eq!(
        said.checks("wrong"),
        ["administrator"],
        "{take}: {}",
        said.stdout
    );
    said.assert_wrong("administrator", action);
    let commands = said.commands("administrator");
    assert_eq!(commands, [Line::Psql(grant.to_owned())]);
    follow(world, &commands[0], "").await;
    assert_mended(world, secret).await;
}

#[tokio::test]
async fn a_missing_createrole_is_found_and_granted() {
    let world = world(options()).await;
    let admin = administrator(&world);
    let take = format!("ALTER ROLE {admin} NOCREATEROLE");
    let grant = format!("ALTER ROLE \"{admin}\" CREATEROLE;");
    is_reported_and_granted(&world, &take, "create and alter roles", &grant).await;
}

#[tokio::test]
async fn a_missing_pg_signal_backend_is_found_and_granted() {
    let world = world(options()).await;
    let admin = administrator(&world);
    let take = format!("REVOKE pg_signal_backend FROM {admin}");
    let grant = format!("GRANT \"pg_signal_backend\" TO \"{admin}\";");
    is_reported_and_granted(&world, &take, "end sessions, as revokeSecret does", &grant).await;
}

#[tokio::test]
async fn a_missing_admin_option_is_found_and_granted_from_postgresql_16_on() {
    let world = world(options()).await;
    let (admin, base) = (administrator(&world), world.alternating_role());
    let take = format!("REVOKE ADMIN OPTION FOR {base} FROM {admin}");
    if version(&world).await < 160_000 {
        // CREATEROLE is enough there
        execute(&world, &take).await;
        assert_mended(&world, world.alternating_users()).await;
        return;
    }
    let grant = format!("GRANT \"{base}\" TO \"{admin}\" WITH ADMIN OPTION;");
    is_reported_and_granted(&world, &take, &format!("alter and grant {base}"), &grant).await;
}

#[tokio::test]
async fn a_missing_rds_password_is_found_and_granted_where_rds_restricts_who_sets_passwords() {
    let restricted = Settings {
        conf: "rds.restrict_password_commands = on".to_owned(),
        ..Settings::default()
    };
    let world = world(options().own_postgres(restricted)).await;
    let admin = administrator(&world);
    let (take, grant) = (
        "CREATE ROLE rds_password",
        format!("GRANT \"rds_password\" TO \"{admin}\";"),
    );
    is_reported_and_granted(&world, take, "set passwords", &grant).await;

    let said = doctor(&world, &[world.single_user()], "").await;
    assert_eq!(said.checks("wrong"), ["administrator"], "{}", said.stdout);
    let commands = said.commands("administrator");
    assert_eq!(
        commands,
        [Line::Psql(format!(
            "GRANT \"rds_password\" TO \"{}\";",
            world.role()
        ))]
    );
    follow(&world, &commands[0], "").await;
    assert_mended(&world, world.single_user()).await;
}

#[tokio::test]
async fn all_missing_rights_are_reported_together() {
    let world = world(options()).await;
    let (secret, admin) = (world.alternating_users(), administrator(&world));
    execute(
        &world,
        &format!("ALTER ROLE {admin} NOCREATEROLE; REVOKE pg_signal_backend FROM {admin}"),
    )
    .await;
    let said = doctor(&world, &[secret], "").await;
    let commands = said.commands("administrator");
    assert_eq!(commands.len(), 2, "{commands:?}");
    for command in &commands {
        follow(&world, command, "").await;
    }
    assert_mended(&world, secret).await;
}

#[tokio::test]
async fn passwords_that_the_server_stores_as_md5_are_a_warning() {
    let md5 = Settings {
        conf: "password_encryption = md5".to_owned(),
        ..Settings::default()
    };
    let world = world(options().own_postgres(md5)).await;
    let said = doctor(&world, &[world.single_user()], "").await;
    said.assert_warns(&["hashing"]);
    for command in said.commands("hashing") {
        follow(&world, &command, "").await;
    }
    until(&world, world.single_user(), "hashing", "ok").await;
}
