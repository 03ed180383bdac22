//! The report, and a secret in it. All secrets are kept until the last is listed, because the most urgent one is printed first.

use std::{collections::HashMap, sync::Arc, time::SystemTime};

use serde::{Serialize, Serializer};

use super::{
    judge::State,
    secret::{LastError, Secret, Unknown},
};
use crate::{schedule::Interval, secrets::Strategy};

/// The report.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Most urgent first.
    pub(super) secrets: Vec<Kept>,
    /// What could not be read, and what to do about it.
    pub(super) notes: Vec<String>,
    /// The number of all secrets, including hidden ones.
    #[serde(skip)]
    pub(super) of: usize,
    #[serde(skip)]
    pub(super) values: bool,
    #[serde(skip)]
    pub(super) now: SystemTime,
}

impl Report {
    pub(super) fn needs_attention(&self) -> bool {
        self.secrets
            .iter()
            .any(|secret| secret.state().needs_attention())
    }
}

/// A listed secret.
#[derive(Debug)]
pub(super) enum Kept {
    /// With everything that later calls need or change.
    Whole(Box<Secret>),
    /// Nothing happens to it. There may be ten thousand such secrets, so it is small.
    Quiet(Quiet),
}

/// A secret without a rotation in progress, an overlap or an error.
#[derive(Debug)]
pub(super) struct Quiet {
    arn: Box<str>,
    /// Where the name is in the ARN.
    name: (u16, u16),
    state: State,
    strategy: Option<Strategy>,
    current_since: Option<SystemTime>,
    interval: Option<Arc<Interval>>,
    due: Option<SystemTime>,
    unknown: Unknown,
}

impl Kept {
    pub(super) fn state(&self) -> State {
        match self {
            Self::Whole(secret) => secret.state,
            Self::Quiet(quiet) => quiet.state,
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Whole(secret) => &secret.name,
            Self::Quiet(quiet) => quiet.name(),
        }
    }

    pub(super) fn whole(&mut self) -> Option<&mut Secret> {
        match self {
            Self::Whole(secret) => Some(secret),
            Self::Quiet(_) => None,
        }
    }

    pub(super) fn last_error(&self) -> Option<&LastError> {
        match self {
            Self::Whole(secret) => secret.last_error.as_ref(),
            Self::Quiet(_) => None,
        }
    }

    /// The secret as it was.
    pub(super) fn secret(&self) -> Secret {
        match self {
            Self::Whole(secret) => Secret::clone(secret),
            Self::Quiet(quiet) => quiet.secret(),
        }
    }

    /// The sort key of the list.
    pub(super) fn urgency(&self) -> impl Ord {
        let (state, since) = match self {
            Self::Whole(secret) => (secret.state, secret.since()),
            Self::Quiet(quiet) => (quiet.state, quiet.due),
        };
        // a secret without a due date comes last
        (state, since.is_none(), since, self.name())
    }
}

impl Serialize for Kept {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Whole(secret) => secret.serialize(serializer),
            Self::Quiet(quiet) => quiet.secret().serialize(serializer),
        }
    }
}

impl Quiet {
    fn name(&self) -> &str {
        let (begin, end) = self.name;
        self.arn.get(begin.into()..end.into()).unwrap_or_default()
    }

    fn secret(&self) -> Secret {
        Secret {
            name: self.name().to_owned(),
            arn: self.arn.to_string(),
            state: self.state,
            strategy: self.strategy,
            current_since: self.current_since,
            interval: self.interval.as_deref().cloned(),
            due: self.due,
            unknown: self.unknown,
            ..Secret::default()
        }
    }
}

/// Makes secrets small. Most schedules are the same, and are kept once.
#[derive(Debug, Default)]
pub(super) struct Keeper(HashMap<String, Arc<Interval>>);

impl Keeper {
    /// The secret, judged, as it is kept.
    pub(super) fn keep(&mut self, secret: Secret) -> Kept {
        let name = place(&secret.arn, &secret.name).filter(|_| secret.is_quiet());
        let Some(name) = name else {
            return Kept::Whole(Box::new(secret));
        };
        let interval = secret.interval.map(|interval| {
            let kept = self.0.entry(interval.text.clone());
            kept.or_insert_with(|| Arc::new(interval)).clone()
        });
        Kept::Quiet(Quiet {
            // not the buffer that the answer was read into
            arn: Box::from(secret.arn.as_str()),
            name,
            state: secret.state,
            strategy: secret.strategy,
            current_since: secret.current_since,
            interval,
            due: secret.due,
            unknown: secret.unknown,
        })
    }
}

fn place(arn: &str, name: &str) -> Option<(u16, u16)> {
    let begin = arn.find(name)?;
    let end = u16::try_from(begin + name.len()).ok()?;
    Some((u16::try_from(begin).ok()?, end))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::to_value;

    use super::{super::secret::Field, *};

    fn secret() -> Secret {
        let now = SystemTime::now();
        let mut secret = Secret {
            name: "orders/db".to_owned(),
            arn: "arn:aws:secretsmanager:us-east-1:123456789012:secret:orders/db-AbCdEf".to_owned(),
            strategy: Some(Strategy::SingleUser),
            current_since: Some(now),
            interval: Interval::read(None, Some(30)),
            due: Some(now + Duration::from_secs(86_400)),
            ..Secret::default()
        };
        secret.unknown.insert(Field::OverlapUntil);
        secret
    }

    #[test]
    fn a_quiet_secret_is_kept_in_few_bytes_and_reported_with_all_its_fields() {
        let kept = Keeper::default().keep(secret());
        assert!(matches!(kept, Kept::Quiet(_)));
        assert!(size_of::<Kept>() <= 72, "{}", size_of::<Kept>());
        assert_eq!(kept.name(), "orders/db");
        assert_eq!(to_value(&kept).unwrap(), to_value(secret()).unwrap());
        assert_eq!(
            to_value(kept.secret()).unwrap(),
            to_value(secret()).unwrap()
        );
    }

    #[test]
    fn a_secret_with_a_rotation_an_overlap_or_a_name_outside_its_arn_is_kept_whole() {
        let changes: [fn(&mut Secret); 4] = [
            |secret| secret.pending = Some("a version".to_owned()),
            |secret| secret.overlap_until = secret.due,
            |secret| secret.state = State::Overdue, // the log may know why
            |secret| secret.name = "another".to_owned(),
        ];
        for change in changes {
            let mut changed = secret();
            change(&mut changed);
            let kept = Keeper::default().keep(changed.clone());
            assert!(matches!(kept, Kept::Whole(_)), "{kept:?}");
            assert_eq!(to_value(&kept).unwrap(), to_value(changed).unwrap());
        }
    }
}
