//! Finds secrets by name: the results of ListSecrets and DescribeSecret.

use std::{
    collections::HashMap,
    convert::Infallible,
    str::FromStr,
    time::{Duration, SystemTime},
};

use aws_sdk_secretsmanager::{
    Client,
    operation::describe_secret::DescribeSecretOutput,
    primitives::{Blob, DateTime},
    types::{Filter, FilterNameStringType, SecretListEntry},
};

use futures_util::{Stream, StreamExt, TryStreamExt, future::ready, stream};
use secrecy::SecretString;
use secret_rotation::document::Fields;
pub use secret_rotation::document::Strategy;
use wildmatch::WildMatch;

use crate::aws::{Error, Place, explain};

/// The label of the new version during a rotation.
pub const PENDING: &str = "AWSPENDING";
/// The label of the current version.
pub const CURRENT: &str = "AWSCURRENT";
/// The label of the version before the current one.
pub const PREVIOUS: &str = "AWSPREVIOUS";

/// A tag that a secret must have, for example `environment=production`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    key: String,
    value: String,
}

impl FromStr for Tag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Self {
                key: key.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err("write it as key=value".to_owned()),
        }
    }
}

/// Secrets on the command line: a name, an ARN, or a pattern with * and ?.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named(String);

impl FromStr for Named {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl Named {
    fn is(&self, secret: &SecretListEntry) -> bool {
        let pattern = WildMatch::new(&self.0);
        [secret.name(), secret.arn()]
            .into_iter()
            .flatten()
            .any(|own| own == self.0 || pattern.matches(own))
    }

    fn is_pattern(&self) -> bool {
        self.0.contains(['*', '?'])
    }
}

/// Whether a secret matches one of the names. With no names, every secret matches.
pub fn is_named(named: &[Named], secret: &SecretListEntry) -> bool {
    named.is_empty() || named.iter().any(|name| name.is(secret))
}

/// Whether rotation was ever configured for a secret.
pub fn rotates(secret: &SecretListEntry) -> bool {
    secret.rotation_lambda_arn.is_some()
}

/// The secrets that have all the tags, page by page: each request needs the token of the page before.
///
/// Returns an error and ends if a page cannot be read.
pub fn listed(client: &Client, tags: &[Tag]) -> impl Stream<Item = Result<SecretListEntry, Error>> {
    let pages = client
        .list_secrets()
        .set_filters(filters(tags))
        .max_results(100)
        .into_paginator()
        .send();
    let pages = stream::unfold(pages, async |mut pages| {
        let page = pages.next().await?;
        let page = page.map_err(|error| explain("secretsmanager:ListSecrets", error));
        let secrets = page.map(|page| page.secret_list.unwrap_or_default());
        Some((secrets, pages))
    });
    pages
        .map_ok(|page| stream::iter(page).map(Ok))
        .try_flatten()
        .try_filter(|secret| ready(tags.iter().all(|tag| has(secret, tag))))
}

/// Calls `keep` for each secret that has all the tags, and collects the results. Only these stay in memory.
///
/// # Errors
///
/// A page cannot be read.
pub async fn every<T>(
    client: &Client,
    tags: &[Tag],
    mut keep: impl FnMut(SecretListEntry) -> Option<T>,
) -> Result<Vec<T>, Error> {
    let kept = listed(client, tags).try_filter_map(|secret| ready(Ok(keep(secret))));
    kept.try_collect().await
}

/// Checks that each name matches a listed secret.
///
/// # Errors
///
/// A name matches no secret.
pub fn check_named(
    client: &Client,
    named: &[Named],
    listed: &[SecretListEntry],
) -> Result<(), Error> {
    let missing = |named: &&Named| !listed.iter().any(|secret| named.is(secret));
    match named.iter().find(missing) {
        None => Ok(()),
        Some(pattern) if pattern.is_pattern() => Err(Error::NoMatch {
            pattern: pattern.0.clone(),
        }),
        Some(name) => Err(unknown(client, &name.0, listed)),
    }
}

/// Describes a secret. If it does not exist, the error suggests a similar name.
///
/// # Errors
///
/// The call failed.
pub async fn describe(client: &Client, secret: &str) -> Result<DescribeSecretOutput, Error> {
    let described = client.describe_secret().secret_id(secret).send().await;
    match described.map_err(|error| explain("secretsmanager:DescribeSecret", error)) {
        Err(Error::Absent { .. }) => {
            // without the right to list secrets, there is no suggestion
            let listed = every(client, &[], Some).await.unwrap_or_default();
            Err(unknown(client, secret, &listed))
        }
        described => described,
    }
}

fn unknown(client: &Client, secret: &str, listed: &[SecretListEntry]) -> Error {
    let region = client.config().region().map(ToString::to_string);
    let region = region.unwrap_or_default();
    let first = listed.first().and_then(SecretListEntry::arn);
    let account = Place::of(secret).or_else(|| Place::of(first?));
    let account = account.map_or_else(String::new, |place| {
        format!(" (account {})", place.account())
    });
    Error::NoSecret {
        secret: secret.to_owned(),
        place: format!("{region}{account}"),
        meant: meant(secret, listed.iter().filter_map(SecretListEntry::name)),
    }
}

/// The most similar name, by clap's measure and limit.
fn meant<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let like = names.map(|name| (strsim::jaro(typed, name), name));
    let like = like.filter(|(likeness, _)| *likeness > 0.7);
    let best = like.max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.map(|(_, name)| name.to_owned())
}

/// The service matches keys and values separately, and by prefix. So this only shortens the list, and [`has`] decides.
fn filters(tags: &[Tag]) -> Option<Vec<Filter>> {
    let filter =
        |key, values: Vec<String>| Filter::builder().key(key).set_values(Some(values)).build();
    let first = tags.first()?;
    let mut filters = vec![filter(
        FilterNameStringType::TagKey,
        vec![first.key.clone()],
    )];
    if !first.value.is_empty() {
        let value = vec![first.value.clone()];
        filters.push(filter(FilterNameStringType::TagValue, value));
    }
    Some(filters)
}

fn has(secret: &SecretListEntry, tag: &Tag) -> bool {
    secret
        .tags()
        .iter()
        .any(|own| own.key() == Some(&tag.key) && own.value().unwrap_or_default() == tag.value)
}

/// The parts of a secret's document that are not secret.
#[derive(Debug)]
pub struct Outline {
    /// The strategy.
    pub strategy: Strategy,
    /// How long the previous user still logs in after a rotation. None if forever.
    pub overlap: Option<Duration>,
}

impl Outline {
    /// Reads a document. None if it is not a JSON object.
    pub fn read(document: &SecretString) -> Option<Self> {
        let fields = Fields::read(document).ok()?;
        let strategy = fields.strategy.unwrap_or(Strategy::SingleUser);
        let overlap = fields.overlap_seconds;
        let overlap = overlap.filter(|_| strategy == Strategy::AlternatingUsers);
        Some(Self {
            strategy,
            overlap: overlap.map(Duration::from_secs),
        })
    }
}

/// Until when the previous user logs in. None if that time is over. The window starts at the promotion, the end of the rotation.
pub fn overlap_until(window: Duration, rotated: SystemTime, now: SystemTime) -> Option<SystemTime> {
    let until = rotated.checked_add(window);
    until.filter(|until| *until > now)
}

/// A secret's value, from SecretString or SecretBinary.
pub fn text(string: Option<String>, binary: Option<Blob>) -> Option<SecretString> {
    let bytes = binary.map(Blob::into_inner);
    let string = string.or_else(|| String::from_utf8(bytes?).ok());
    string.map(SecretString::from)
}

/// The version with this label.
pub fn labelled<'a>(labels: &'a HashMap<String, Vec<String>>, label: &str) -> Option<&'a str> {
    labels
        .iter()
        .find(|(_, labels)| labels.iter().any(|own| own == label))
        .map(|(version, _)| version.as_str())
}

/// The version that the current rotation is making. After a rotation, AWSPENDING may stay on AWSCURRENT's version.
pub fn in_flight(labels: &HashMap<String, Vec<String>>) -> Option<&str> {
    labelled(labels, PENDING).filter(|pending| Some(*pending) != labelled(labels, CURRENT))
}

/// Converts the service's time.
pub fn time(moment: Option<&DateTime>) -> Option<SystemTime> {
    SystemTime::try_from(*moment?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(of: &[(&str, &[&str])]) -> HashMap<String, Vec<String>> {
        let owned = |labels: &[&str]| labels.iter().map(ToString::to_string).collect();
        of.iter()
            .map(|(version, labels)| ((*version).to_owned(), owned(labels)))
            .collect()
    }

    #[test]
    fn a_rotation_is_in_flight_while_awspending_is_on_another_version_than_awscurrent() {
        let done = labels(&[("2", &[CURRENT, PENDING]), ("1", &[PREVIOUS])]);
        assert_eq!(in_flight(&done), None);
        assert_eq!(in_flight(&labels(&[("1", &[CURRENT])])), None);
        let begun = labels(&[("2", &[PENDING]), ("1", &[CURRENT])]);
        assert_eq!(in_flight(&begun), Some("2"));
    }

    #[test]
    fn the_most_similar_of_the_existing_names_is_suggested() {
        let names = ["demo/orders/single", "demo/stock/alternating", "rds/admin"];
        let meant = |typed| meant(typed, names.into_iter());
        assert_eq!(meant("demo/order/single").as_deref(), Some(names[0]));
        assert_eq!(meant("demo/stock/alternate").as_deref(), Some(names[1]));
        assert_eq!(meant("payments"), None);
    }

    #[test]
    fn a_tag_is_a_key_and_a_value_which_may_hold_an_equals_sign() {
        let tag = |key: &str, value: &str| Tag {
            key: key.to_owned(),
            value: value.to_owned(),
        };
        assert_eq!("team=a=b".parse(), Ok(tag("team", "a=b")));
        assert_eq!("team=".parse(), Ok(tag("team", "")));
        assert!("team".parse::<Tag>().is_err() && "=a".parse::<Tag>().is_err());
    }
}
