//! Where a document's requests go.

use secrecy::SecretString;
use tokio::time::Instant;

use super::{
    https::Bounds,
    render::{Values, address},
};
use crate::{
    document::{Document, ENGINES},
    engine::Limits,
    settings::AllowedHost,
};

/// The addresses of the requests, as text.
pub fn addresses(
    document: &Document,
    master: &SecretString,
    allowed: &[AllowedHost],
) -> Vec<String> {
    let Ok(master) = Document::parse_administrator(master, document, ENGINES) else {
        return Vec::new();
    };
    let zero = std::time::Duration::ZERO;
    let bounds = Bounds {
        allowed,
        limits: Limits {
            step: zero,
            connect: zero,
            statement: zero,
        },
        end: Instant::now(),
    };
    let requests = document.api().into_iter().flat_map(|api| api.requests());
    let asked = requests.filter_map(|(name, request)| {
        let values = Values {
            own: vec![
                ("key_id", document.username()),
                ("label", "rotation-1"),
                ("token", "the token"),
            ],
            master: Some(&master),
        };
        let url = address(name, &request.url, &values).ok()?;
        bounds.permits(name, &url).ok()?;
        Some(url.into())
    });
    asked.collect()
}
