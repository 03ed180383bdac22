//! Whether clients drop a cached credential before it ends.
//!
//! The service does not know how long its clients cache, and a PostgreSQL session does not show it. So a tag of the secret declares the
//! longest lifetime: `rotating-secret:ttl` (`5m`, `300s`).

use std::time::Duration;

use aws_sdk_secretsmanager::types::Tag;
use secret_rotation::{
    document::{Document, Overlap, duration},
    settings::Settings,
};

use super::finding::{Cure, Verdict};
use crate::terminal::span;

const TAG: &str = "rotating-secret:ttl";

/// Compares the declared lifetime with the overlap window.
pub(super) fn lifetime(tags: &[Tag], document: &Document, settings: Option<&Settings>) -> Verdict {
    let announced = tags.iter().find(|tag| tag.key() == Some(TAG));
    let Some(announced) = announced.and_then(Tag::value) else {
        let what = format!(
            "no client announces its cache's lifetime; set the tag {TAG}=5m to have it checked"
        );
        return Verdict::skipped(what);
    };
    let Ok(lifetime) = duration(announced) else {
        let what = format!("the tag {TAG} is \"{announced}\"");
        return Verdict::wrong(what, Cure::advice("give it a time such as 5m or 300s"));
    };
    let shown = span(lifetime);
    if !document.takes_turns() {
        let what = format!(
            "clients cache for {shown}; a single user has no overlap, so clients find the change after a rejected login"
        );
        return Verdict::ok(what);
    }
    match window(document, settings) {
        None => Verdict::unknown(
            "the function's OVERLAP_WINDOW is not known",
            Cure::default(),
        ),
        Some(Overlap::Unbounded) => Verdict::ok(format!(
            "clients cache for {shown}, and the overlap has no end"
        )),
        Some(Overlap::Bounded(window)) => within(lifetime, window),
    }
}

/// How long the previous user still logs in after a rotation. None if unknown.
pub(super) fn window(document: &Document, settings: Option<&Settings>) -> Option<Overlap> {
    let own = document.overlap();
    own.or(settings.map(|settings| settings.overlap))
}

fn within(lifetime: Duration, window: Duration) -> Verdict {
    let (lifetime_shown, window_shown) = (span(lifetime), span(window));
    if lifetime < window {
        let what = format!(
            "clients cache for {lifetime_shown}, less than the overlap window of {window_shown}"
        );
        return Verdict::ok(what);
    }
    let what = format!(
        "clients cache for {lifetime_shown}, but the old password ends {window_shown} after a rotation"
    );
    let advice = "shorten the clients' ttl, or lengthen OVERLAP_WINDOW or the secret's \"overlap\"";
    Verdict::warning(what, Cure::advice(advice))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(extra: &str) -> Document {
        let json =
            format!("{{\"host\": \"db\", \"username\": \"app\", \"password\": \"secret\"{extra}}}");
        Document::parse(&json.into()).unwrap()
    }

    fn tag(value: &str) -> Vec<Tag> {
        vec![Tag::builder().key(TAG).value(value).build()]
    }

    #[test]
    fn a_lifetime_must_be_below_the_overlap_window() {
        let settings =
            Settings::read(|name| (name == "OVERLAP_WINDOW").then(|| "10m".to_owned())).unwrap();
        let two_users = ", \"masterarn\": \"admin\"";
        let own_window = ", \"masterarn\": \"admin\", \"overlap\": \"1h\"";
        for (value, extra, expected) in [
            ("5m", two_users, "ok"),
            ("599s", two_users, "ok"),
            ("10m", two_users, "warning"),
            ("10m", own_window, "ok"),
            ("1h", own_window, "warning"),
            ("1h", "", "ok"), // single user
            ("soon", two_users, "wrong"),
        ] {
            let verdict = lifetime(&tag(value), &document(extra), Some(&settings));
            let word = match verdict {
                Verdict::Ok { .. } => "ok",
                Verdict::Warning { .. } => "warning",
                Verdict::Wrong { .. } => "wrong",
                Verdict::Unknown { .. } => "unknown",
                Verdict::Skipped { .. } => "skipped",
            };
            assert_eq!(word, expected, "{value} {extra}");
        }
    }

    #[test]
    fn without_a_tag_or_the_functions_window_the_check_claims_nothing() {
        let (two_users, none) = (document(", \"masterarn\": \"admin\""), []);
        assert!(matches!(
            lifetime(&none, &two_users, None),
            Verdict::Skipped { .. }
        ));
        assert!(matches!(
            lifetime(&tag("5m"), &two_users, None),
            Verdict::Unknown { .. }
        ));
    }
}
