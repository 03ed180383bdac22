//! Secrets that are followed without a request: those of files, and of a child's environment.

use std::collections::BTreeMap;

use rotating_secret::{BuildError, RotatingSecret, provider::Aws};

use crate::{settings::Settings, store::Checked};

/// One handle for each id. All users share it, so they see a version at the same time.
#[derive(Default)]
pub struct Followed(BTreeMap<String, RotatingSecret>);

/// What a refusal by Secrets Manager does to the last version.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum OnRefusal {
    /// It is dropped: requests must not get it any more.
    Drop,
    /// It stays: a refused secret must not keep a child from the versions of another one.
    Keep,
}

impl Followed {
    /// Follows the secrets of the settings' files, and these. Reads nothing yet.
    ///
    /// # Errors
    ///
    /// The settings contradict each other.
    pub fn new<'a>(
        aws: &Aws,
        settings: &'a Settings,
        ids: impl IntoIterator<Item = &'a str>,
        on_refusal: OnRefusal,
    ) -> Result<Self, BuildError> {
        let files = settings.files.iter();
        let files = files.map(|folder| (&*folder.secret, folder.needs_previous()));
        let mut previous = BTreeMap::new();
        for (id, needs_previous) in files.chain(ids.into_iter().map(|id| (id, false))) {
            *previous.entry(id).or_insert(false) |= needs_previous;
        }
        let follow = |(id, needs_previous): (&str, bool)| {
            let builder = RotatingSecret::builder(id)
                .ttl(settings.ttl)
                .overlap_window(settings.overlap_window);
            let builder = match on_refusal {
                OnRefusal::Drop => builder.end_when_refused(),
                OnRefusal::Keep => builder,
            };
            let builder = match needs_previous {
                true => builder.keep_previous(),
                false => builder,
            };
            let builder = match settings.metrics_name_secrets {
                true => builder,
                false => builder.unlabelled(),
            };
            let secret = builder.build_unread(Checked(aws.clone()))?;
            Ok::<_, BuildError>((id.to_owned(), secret))
        };
        Ok(Self(
            previous.into_iter().map(follow).collect::<Result<_, _>>()?,
        ))
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &RotatingSecret> {
        self.0.values()
    }

    /// The secret with this id, if it is followed.
    pub fn get(&self, id: &str) -> Option<&RotatingSecret> {
        self.0.get(id)
    }
}
