//! Completes the names of secrets on Tab.

use std::{ffi::OsStr, thread, time::Duration};

use aws_sdk_secretsmanager::{Client, types::FilterNameStringType};
use clap_complete::CompletionCandidate;
use tokio::{runtime, time::timeout};

use crate::aws::{self, AwsArguments};

/// How long a person waits after Tab.
const PATIENCE: Duration = Duration::from_secs(2);

/// The names that begin with this text. None if they cannot be listed: no error may appear in the middle of a command line.
pub fn names(begin: &OsStr) -> Vec<CompletionCandidate> {
    let begin = begin.to_string_lossy().into_owned();
    let given = given(&std::env::args().collect::<Vec<_>>());
    // completion runs before the command's own runtime exists
    let listed = thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        // the time limit needs the runtime too
        let listed = async { timeout(PATIENCE, list(&given, &begin)).await };
        let listed = runtime.ok()?.block_on(listed);
        listed.ok()?
    });
    let names = listed.join().ok().flatten().unwrap_or_default();
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// The first page of names: more than a screen shows.
async fn list(given: &AwsArguments, begin: &str) -> Option<Vec<String>> {
    let configuration = aws::configuration(given, &[]).await.ok()?;
    let mut request = Client::new(&configuration).list_secrets().max_results(100);
    if !begin.is_empty() {
        let filter = aws_sdk_secretsmanager::types::Filter::builder()
            .key(FilterNameStringType::Name)
            .values(begin);
        request = request.filters(filter.build());
    }
    let listed = request.send().await.ok()?.secret_list.unwrap_or_default();
    let names = listed.into_iter().filter_map(|secret| secret.name);
    Some(names.filter(|name| name.starts_with(begin)).collect())
}

/// The region, profile and endpoint of an unfinished line, which clap cannot parse.
fn given(words: &[String]) -> AwsArguments {
    let value = |option: &str| {
        let place = words.iter().position(|word| word.starts_with(option))?;
        match words[place].strip_prefix(option)?.strip_prefix('=') {
            Some(value) => Some(value.to_owned()),
            None => words.get(place + 1).cloned(),
        }
    };
    AwsArguments {
        region: value("--region"),
        profile: value("--profile"),
        endpoint_url: value("--endpoint-url"),
        ..AwsArguments::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn region_and_profile_are_read_from_a_line_that_is_not_complete() {
        let words = [
            "rotatectl",
            "--profile",
            "prod",
            "doctor",
            "--region=eu-west-1",
            "ord",
        ];
        let given = given(&words.map(str::to_owned));
        assert_eq!(given.profile.as_deref(), Some("prod"));
        assert_eq!(given.region.as_deref(), Some("eu-west-1"));
        assert_eq!(given.endpoint_url, None);
    }
}
