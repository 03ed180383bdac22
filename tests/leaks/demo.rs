//! What `make demo` shows.

use local::postgres::Settings;

use crate::{
    assert_no_leaks, collect,
    common::{options_with, start, warm},
    search::{Kind, Place, Secrets},
};

#[tokio::test]
async fn the_demo_shows_both_strategies_a_revocation_an_api_key_and_no_password() {
    let options = options_with(&[("OVERLAP_WINDOW", drill::demo::WINDOW)]);
    let options = options.own_postgres(Settings::default()).with_key_service();
    let world = start(warm(options)).await; // calls and logins are counted
    let mut shown = Vec::new();
    drill::demo::run(&world, &mut shown, false, 2)
        .await
        .unwrap();
    let mut secrets = Secrets::default();
    collect(&world, &mut secrets);
    assert!(secrets.count(Kind::Password) > 5 && secrets.count(Kind::Key) > 2);
    assert_no_leaks(&secrets, &[Place::new("the demo", shown.clone())]);
    let shown = String::from_utf8(shown).unwrap();
    for (text, times) in [
        ("✔ the old password is refused (28P01)", 1),
        ("8 API calls, 2 logins, 0 of them rejected", 1),
        ("10 API calls, 3 logins, 0 of them rejected", 2),
        ("✔ after the window PostgreSQL refuses the old password", 1),
        ("✔ the session that it had opened is gone", 1),
        ("✔ after revokeSecret the new one is all there is", 1),
        ("✔ no request failed", 3),
    ] {
        assert_eq!(shown.matches(text).count(), times, "{text}: {shown}");
    }
}
