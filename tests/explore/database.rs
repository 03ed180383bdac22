//! A model of PostgreSQL: two roles, one lock, transactions; and of a service with keys.

use crate::{
    api_key::Keys,
    calls::{Answer, Credential, Kind, Version, Write},
};

/// When a password ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Until {
    Never,
    At(u8),
    Ended,
}

/// The step that did it, and whether the service expected that step then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct By {
    pub(crate) step: Kind,
    pub(crate) late: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Role {
    pub(crate) password: u8,
    pub(crate) until: Until,
    /// Who changed it last.
    pub(crate) by: Option<By>,
    /// An operator made it current again, and knows when it ends.
    pub(crate) known: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Database {
    /// The base role and its clone.
    pub(crate) roles: [Option<Role>; 2],
    /// The keys of a service that are good, by number.
    pub(crate) keys: Keys,
    /// How many keys were made.
    pub(crate) made: u8,
    /// How many keys an account may have.
    pub(crate) room: u8,
    /// The step that last deleted one.
    pub(crate) deleted_by: Option<By>,
}

/// The password of a role that has none.
const NONE: u8 = u8::MAX;

impl Database {
    pub(crate) fn new(room: u8) -> Self {
        let mut keys = Keys::default();
        keys[0] = Some(0);
        Self {
            roles: [Some(Role::with(0)), None],
            keys,
            made: 1,
            room,
            deleted_by: None,
        }
    }

    pub(crate) fn logs_in(&self, credential: Credential, now: u8) -> bool {
        let role = self.roles.get(usize::from(credential.user)).copied();
        role.flatten()
            .is_some_and(|role| role.password == credential.password && !role.is_over(now))
    }

    pub(crate) fn write(&mut self, write: Write, by: By) {
        let (Write::Create(user)
        | Write::Password(Credential { user, .. })
        | Write::Open(Credential { user, .. })
        | Write::Until(user, _)
        | Write::End(user)) = write;
        let role = self.roles[usize::from(user)].get_or_insert(Role::with(NONE));
        match write {
            Write::Create(_) => {}
            Write::Password(new) => role.password = new.password,
            Write::Open(new) => {
                role.password = new.password;
                role.until = Until::Never;
            }
            Write::Until(_, until) => role.until = Until::At(until),
            Write::End(_) => role.until = Until::Ended,
        }
        role.by = Some(by);
        role.known = false;
    }

    /// The end of a role that has one more window; None if it ends earlier.
    pub(crate) fn bound(&self, user: u8, now: u8) -> Option<u8> {
        let role = self.roles[usize::from(user)]?;
        let until = now + 1;
        match role.until {
            Until::Never => Some(until),
            Until::At(earlier) => (earlier > until).then_some(until),
            Until::Ended => None,
        }
    }

    pub(crate) fn make(&mut self, version: Version) -> Answer {
        let alive = self.keys.iter().flatten().count();
        if alive >= usize::from(self.room) || usize::from(self.made) == self.keys.len() {
            return Answer::Refused;
        }
        self.keys[usize::from(self.made)] = Some(version);
        self.made += 1;
        Answer::Made(self.made - 1)
    }

    pub(crate) fn delete(&mut self, key: u8) -> Answer {
        match self.keys[usize::from(key)].take() {
            Some(_) => Answer::Done,
            None => Answer::NoSuchKey,
        }
    }
}

impl Role {
    fn with(password: u8) -> Self {
        Self {
            password,
            until: Until::Never,
            by: None,
            known: false,
        }
    }

    pub(crate) fn is_over(&self, now: u8) -> bool {
        match self.until {
            Until::Never => false,
            Until::At(end) => now >= end,
            Until::Ended => true,
        }
    }
}
