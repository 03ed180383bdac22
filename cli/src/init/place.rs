//! The place of the new secret: the question before the secret is made names the account.

use super::{Tools, found::Found, wanted::Wanted};
use crate::aws::Place;

/// The account and region as text.
pub(super) fn text(tools: &Tools<'_>, wanted: &Wanted, found: &Found) -> String {
    if let Some(place) = of(tools, wanted, found) {
        return place.to_string();
    }
    let region = format!("region {}", tools.region);
    match Place::of(&wanted.administrator_arn) {
        Some(administrators) => {
            format!("{region}, with an administrator's secret of {administrators}")
        }
        None => region,
    }
}

/// A secret given by name is in the caller's own account; that needs no call. One given by ARN may be in another account.
pub(super) fn of(tools: &Tools<'_>, wanted: &Wanted, found: &Found) -> Option<Place> {
    let is_named = !tools.arguments.administrator.starts_with("arn:");
    let administrators = is_named.then_some(&wanted.administrator_arn);
    let stored = found.stored.as_ref().map(|stored| &stored.arn);
    Place::of(stored.or(administrators)?)
}
