//! A model of Secrets Manager: one secret's versions and labels, and reads that lag.

use crate::calls::{Answer, Call, Credential, Label, Version, View};

/// A version with a value, or a staged one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Stored {
    pub(crate) value: Option<Credential>,
    pub(crate) stored: u8,
    /// It was AWSCURRENT once.
    pub(crate) was_current: bool,
    /// After that it was seen not to log in.
    pub(crate) ended: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Store {
    pub(crate) view: View,
    /// The older states that a lagging read may show, the newest first.
    pub(crate) past: Vec<View>,
    pub(crate) versions: Vec<Stored>,
    /// How many changes a read may be behind.
    pub(crate) lag: u8,
}

impl Store {
    /// The first version is AWSCURRENT.
    pub(crate) fn new(first: Credential, lag: u8) -> Self {
        let mut store = Self {
            view: View {
                current: 0,
                previous: None,
                pending: None,
                valued: 0,
                enabled: true,
                rotated: None,
            },
            past: Vec::new(),
            versions: Vec::new(),
            lag,
        };
        store.add(Some(first), 0);
        store.versions[0].was_current = true;
        store
    }

    /// Another version, without labels.
    pub(crate) fn add(&mut self, value: Option<Credential>, now: u8) -> Version {
        let version = self.versions.len() as Version;
        self.versions.push(Stored {
            value,
            stored: now,
            was_current: false,
            ended: false,
        });
        self.view.valued |= u32::from(value.is_some()) << version;
        version
    }

    pub(crate) fn value(&self, version: Option<Version>) -> Option<Credential> {
        self.versions[usize::from(version?)].value
    }

    pub(crate) fn current(&self) -> Option<Credential> {
        self.value(Some(self.view.current))
    }

    /// A change, which reads that lag may not see yet.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut View)) {
        if self.lag > 0 {
            self.past.insert(0, self.view);
            self.past.truncate(self.lag.into());
        }
        change(&mut self.view);
        let current = self.view.current;
        self.versions[usize::from(current)].was_current = true;
    }

    /// Every read sees everything again.
    pub(crate) fn settle(&mut self) {
        self.past.clear();
    }

    /// AWSCURRENT goes there, and AWSPREVIOUS to where it was.
    pub(crate) fn make_current(&mut self, version: Version) {
        self.change(|view| {
            view.previous = Some(view.current);
            view.current = version;
        });
    }

    /// `behind` is how many changes a read has not seen.
    pub(crate) fn call(&mut self, call: Call, behind: u8, now: u8) -> Answer {
        let view = match behind {
            0 => self.view,
            behind => self.past[usize::from(behind) - 1],
        };
        let value = |version: Option<Version>| {
            let found = version.filter(|version| view.has_value(*version));
            Answer::Value(found.and_then(|version| {
                let stored = &self.versions[usize::from(version)];
                Some((version, stored.value?, stored.stored))
            }))
        };
        match call {
            Call::Describe => Answer::Labels(view),
            Call::Read(Label::Current) => value(Some(view.current)),
            Call::Read(Label::Previous) => value(view.previous),
            Call::ReadPending(version) if view.pending == Some(version) => value(Some(version)),
            Call::ReadPending(_) => Answer::Refused,
            Call::ReadVersion(version) => value(Some(version)),
            Call::Put(version, credential) => self.put(version, credential, now),
            Call::Promote(_, from) if view.current != from => Answer::Refused,
            Call::Promote(version, _) | Call::Force(version) => {
                self.make_current(version);
                Answer::Done
            }
            Call::PutCurrent(version, credential) => {
                let answer = self.put(version, credential, now);
                if self.view.current != version {
                    self.make_current(version);
                }
                answer
            }
            Call::Overwrite(version, credential) => {
                self.versions[usize::from(version)].value = None;
                self.put(version, credential, now)
            }
            Call::TakeOff => {
                self.change(|view| view.pending = None);
                Answer::Done
            }
            _ => Answer::Done,
        }
    }

    /// PutSecretValue under AWSPENDING. The value of a version never changes.
    fn put(&mut self, version: Version, credential: Credential, now: u8) -> Answer {
        let stored = &mut self.versions[usize::from(version)];
        match stored.value {
            Some(value) if value == credential => return Answer::Done,
            Some(_) => return Answer::Conflict,
            None => {
                stored.value = Some(credential);
                stored.stored = now;
            }
        }
        self.change(|view| {
            view.valued |= 1 << version;
            view.pending = Some(version);
        });
        Answer::Done
    }
}
