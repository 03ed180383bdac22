//! `prefetch`: secrets that are read before the first request.

use std::sync::Arc;

use tokio::time::sleep;

use crate::{Agent, settings::Prefetch, store::Question};

/// Reads them one after another. A failure is a warning: a request gets the error.
pub async fn run(agent: Arc<Agent>, prefetch: Prefetch) {
    let Prefetch {
        secrets: mut wanted,
        tags,
        most,
        jitter,
    } = prefetch;
    sleep(jitter.mul_f64(fastrand::f64())).await;
    for (key, role) in &tags {
        match agent.stores.tagged(key, role.as_deref(), most).await {
            Ok(names) => wanted.extend(names.into_iter().map(|name| (name, role.clone()))),
            Err(reason) => {
                tracing::warn!(
                    tag = key,
                    reason,
                    "prefetch: secrets with this tag are not listed: allow secretsmanager:ListSecrets"
                );
            }
        }
    }
    if wanted.len() > most {
        tracing::warn!(
            wanted = wanted.len(),
            most,
            "prefetch: there are more than cache_size and cache_buffer_ratio allow"
        );
    }
    for (id, role) in wanted.into_iter().take(most) {
        let question = Question {
            id,
            role,
            ..Question::default()
        };
        if let Err(error) = agent.stores.read(&question).await {
            tracing::warn!(%error, "prefetch: a secret was not read");
        }
    }
}
