//! Which spellings name the same secret: its name, its ARN, and its ARN without the last hyphen and six characters.

use std::{num::NonZeroUsize, sync::Arc};

use lru::LruCache;
use rotating_secret::provider::Selector;

use super::Question;

/// The key of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// The ARN, or the requested id until the ARN is known.
    secret: Arc<str>,
    selector: Selector,
    /// Whether `secret` is an ARN that an answer has confirmed.
    is_known: bool,
}

impl Key {
    /// Whether the label is AWSCURRENT, which every secret has. Any other label may be absent.
    pub(super) fn is_current(&self) -> bool {
        self.selector == Selector::default()
    }

    pub(super) fn is_of(&self, arn: &str) -> bool {
        self.is_known && *self.secret == *arn
    }

    /// The same selection of the secret with this ARN.
    pub(super) fn of(self, arn: &str) -> Self {
        Self {
            secret: arn.into(),
            is_known: true,
            ..self
        }
    }
}

/// The ARN of each known spelling.
pub(super) struct Ids(LruCache<String, Arc<str>>);

impl Ids {
    /// With room for this many secrets.
    pub(super) fn new(secrets: NonZeroUsize) -> Self {
        Self(LruCache::new(secrets.saturating_mul(FORMS)))
    }

    pub(super) fn key(&mut self, question: &Question) -> Key {
        let known = self.0.get(&question.id).cloned();
        let is_known = known.is_some();
        Key {
            secret: known.unwrap_or_else(|| question.id.as_str().into()),
            selector: shortest(&question.selector),
            is_known,
        }
    }

    pub(super) fn learn(&mut self, id: &str, name: Option<&str>, arn: &str) {
        let arn: Arc<str> = arn.into();
        let forms = [Some(id), Some(&*arn), name, partial(&arn)];
        for form in forms.into_iter().flatten() {
            self.0.put(form.to_owned(), arn.clone());
        }
    }

    pub(super) fn forget(&mut self, id: &str) -> bool {
        self.0.pop(id).is_some()
    }
}

/// The spellings of one secret, and one to spare.
const FORMS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(3);

/// A question without a version or a label means AWSCURRENT.
fn shortest(selector: &Selector) -> Selector {
    match (&selector.version_id, selector.stage.as_deref()) {
        (None, Some("AWSCURRENT")) => Selector::default(),
        _ => selector.clone(),
    }
}

/// Whether an answer with this name and ARN is of the secret with this id. A missing name or ARN counts as a match.
pub(super) fn is_of(id: &str, name: Option<&str>, arn: Option<&str>) -> bool {
    match id.starts_with("arn:") {
        true => arn.is_none_or(|arn| arn == id || without_suffix(arn) == Some(id)),
        false => name.is_none_or(|name| name == id),
    }
}

/// Whether this id is a spelling of the secret with this name and ARN.
pub(super) fn spells(id: &str, name: Option<&str>, arn: Option<&str>) -> bool {
    name == Some(id) || arn.is_some_and(|arn| arn == id || partial(arn) == Some(id))
}

/// The names that an id may mean: the end of an ARN may be a part of the name.
pub(crate) fn names(id: &str) -> impl Iterator<Item = &str> {
    let name = id.rsplit_once(":secret:").map_or(id, |(_, name)| name);
    [Some(name), without_suffix(name).filter(|_| name != id)]
        .into_iter()
        .flatten()
}

/// The ARN without its random end; `None` if the rest looks like a full ARN, because the service reads it as one.
fn partial(arn: &str) -> Option<&str> {
    let without = without_suffix(arn)?;
    without_suffix(without).is_none().then_some(without)
}

fn without_suffix(arn: &str) -> Option<&str> {
    let (rest, suffix) = arn.rsplit_once('-')?;
    let is_random = suffix.len() == 6 && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_random.then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:orders/db-AbCdEf";

    fn key(ids: &mut Ids, id: &str) -> Key {
        ids.key(&Question {
            id: id.to_owned(),
            ..Question::default()
        })
    }

    #[test]
    fn a_name_an_arn_and_a_partial_arn_are_one_secret() {
        let mut ids = Ids::new(NonZeroUsize::MIN);
        ids.learn("orders/db", Some("orders/db"), ARN);
        let of_the_name = key(&mut ids, "orders/db");
        let partial = &ARN[..ARN.len() - 7];
        assert_eq!(key(&mut ids, ARN), of_the_name);
        assert_eq!(key(&mut ids, partial), of_the_name);
        assert_ne!(key(&mut ids, "orders/other"), of_the_name);
    }

    #[test]
    fn a_partial_arn_that_could_be_a_full_one_stands_for_itself() {
        // a secret whose name ends like an ARN
        let longer = format!("{ARN}-GhIjKl");
        assert_eq!(partial(&longer), None);
        assert_eq!(partial(ARN), Some(&ARN[..ARN.len() - 7]));
    }

    #[test]
    fn an_answer_is_of_the_secret_that_was_asked_for_and_of_no_longer_name() {
        let partial = &ARN[..ARN.len() - 7];
        for id in ["orders/db", ARN, partial] {
            assert!(is_of(id, Some("orders/db"), Some(ARN)), "{id}");
            assert!(is_of(id, None, None), "{id}");
        }
        let name = "orders/db-AbCdEf";
        let longer = format!("{ARN}-GhIjKl");
        // two secrets: the name of one ends like the ARN of the other
        assert!(is_of(name, Some(name), Some(&longer)));
        assert!(!is_of(partial, Some(name), Some(&longer)));
        for id in ["orders/d", "ORDERS/DB", &ARN[..ARN.len() - 9], &longer] {
            assert!(!is_of(id, Some("orders/db"), Some(ARN)), "{id}");
        }
    }

    #[test]
    fn no_stage_is_awscurrent() {
        let by_stage = Selector::stage("AWSCURRENT");
        assert_eq!(shortest(&by_stage), Selector::default());
        assert_eq!(shortest(&Selector::default()), Selector::default());
        for other in [
            Selector::stage("AWSPENDING"),
            Selector::new(Some("v1".to_owned()), None),
            Selector::new(Some("v1".to_owned()), Some("AWSCURRENT".to_owned())),
        ] {
            assert_eq!(shortest(&other), other);
        }
    }
}
