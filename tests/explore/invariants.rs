//! The invariants: they must hold in every state.

use std::fmt;

use crate::{
    calls::{Kind, Label},
    database::{By, Until},
    line::Strategy,
    steps::Steps,
    world::{Service, Task, World},
};

/// An invariant that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Broken {
    /// None of the cached version, AWSCURRENT and AWSPENDING logs in.
    NobodyGetsIn,
    /// AWSCURRENT does not log in, although two users or two keys take turns.
    CurrentDoesNot,
    /// AWSCURRENT does not log in when the windows are over.
    AfterTheWindows,
    /// AWSPREVIOUS does not log in within its window.
    OverlapCut,
    /// A credential that had ended logs in again.
    CameBack,
    /// revokeSecret reports the end of a credential that still logs in.
    NotRevoked,
    /// A rotation is over, and the old user's password has no end.
    LeftOpen,
    /// The token has more keys than the one that is stored.
    TooManyKeys,
    /// The function reported the end of a rotation, and the new version is not AWSCURRENT.
    NotPromoted,
    /// A label moved that must not.
    Labels,
    /// The database was given a password that is not the token's.
    NotStored,
    /// An attempt that nothing disturbed fails, and so does each after it.
    DoesNotEnd(&'static str),
    /// The client crate was rejected with everything that it tried.
    ClientRejected,
}

/// The broken invariant, and the step that broke it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Violation {
    pub(crate) broken: Broken,
    pub(crate) by: Option<By>,
}

impl Broken {
    pub(crate) fn by(self, by: By) -> Violation {
        Violation {
            broken: self,
            by: Some(by),
        }
    }
}

impl From<Broken> for Violation {
    fn from(broken: Broken) -> Self {
        Self { broken, by: None }
    }
}

impl World {
    /// Looks at the state that an act has led to; `by` is the step that acted, if one did.
    pub(crate) fn check(&mut self, steps: &Steps, by: Option<By>) -> Result<(), Violation> {
        let strategy = steps.strategy;
        let view = self.store.view;
        let logs_in = |world: &Self, version| {
            let value = world.store.value(version);
            value.is_some_and(|value| world.logs_in(strategy, value))
        };
        let current = self.store.current();
        let role = current.filter(|_| strategy != Strategy::Keys);
        let role = role.and_then(|current| self.database.roles[usize::from(current.user)]);
        let ended_by = match strategy {
            Strategy::Keys => self.database.deleted_by,
            _ => role.and_then(|role| role.by),
        };
        let known = role.is_some_and(|role| role.known);

        if !logs_in(self, Some(view.current)) && !known {
            // a late change is the cause, even if the violation appears later
            let by = ended_by.filter(|by| by.late).or(by).or(ended_by);
            let mut ends = role
                .into_iter()
                .filter(|role| Some(role.password) == current.map(|current| current.password));
            if ends.any(|role| matches!(role.until, Until::At(_))) {
                return Err(Violation {
                    broken: Broken::AfterTheWindows,
                    by: ended_by,
                });
            }
            if !logs_in(self, view.pending) {
                return Err(Violation {
                    broken: Broken::NobodyGetsIn,
                    by,
                });
            }
            // a client uses AWSPENDING during a rotation, and not forever
            let done = matches!(self.service, Service::Idle { done: true }) && !self.hands;
            if strategy != Strategy::Single || done {
                return Err(Violation {
                    broken: Broken::CurrentDoesNot,
                    by,
                });
            }
        }
        if self.overlap && view.previous.is_some() && !logs_in(self, view.previous) {
            return Err(Violation {
                broken: Broken::OverlapCut,
                by,
            });
        }
        for version in 0..self.store.versions.len() as u8 {
            let logs_in = logs_in(self, Some(version));
            let labelled = version == view.current || view.pending == Some(version);
            let stored = &mut self.store.versions[usize::from(version)];
            if labelled || !stored.was_current {
                continue;
            }
            if logs_in && stored.ended {
                return Err(Violation {
                    broken: Broken::CameBack,
                    by,
                });
            }
            stored.ended |= !logs_in;
        }
        let Service::Idle { done } = self.service else {
            return Ok(());
        };
        let is_open = |version| {
            let value = self.store.value(version)?;
            let role = self.database.roles[usize::from(value.user)]?;
            Some((
                role.password == value.password && role.until == Until::Never,
                role,
            ))
        };
        if strategy == Strategy::Alternating
            && let Some((false, role)) = is_open(Some(view.current))
            && !role.known
        {
            return Err(Violation {
                broken: Broken::AfterTheWindows,
                by: role.by,
            });
        }
        if !done || !view.at_rest() || self.hands {
            return Ok(());
        }
        if strategy == Strategy::Alternating
            && let Some((true, role)) = is_open(view.previous)
        {
            let by = role.by.filter(|by| by.late);
            return Err(Violation {
                broken: Broken::LeftOpen,
                by,
            });
        }
        let of_token = |key: &&Option<u8>| **key == Some(view.current);
        let keys = self.database.keys.iter().filter(of_token).count();
        if strategy == Strategy::Keys && self.tasks.is_empty() && !self.leftover && keys > 1 {
            return Err(Violation {
                broken: Broken::TooManyKeys,
                by,
            });
        }
        Ok(())
    }

    /// After revokeSecret's success, the version that it read as AWSPREVIOUS does not log in.
    pub(crate) fn is_revoked(&self, steps: &Steps, task: &Task) -> Result<(), Violation> {
        let place = &steps.nodes[task.place as usize];
        let (current, previous) = (place.read(Label::Current), place.read(Label::Previous));
        match previous {
            // a person wrote the same credential again, so both versions have it: then the other user was ended
            Some((_, previous))
                if current.is_none_or(|(_, current)| current != previous)
                    && self.logs_in(steps.strategy, previous)
                    && self.store.current() != Some(previous) =>
            {
                let late = !self.store.view.at_rest();
                Err(Broken::NotRevoked.by(By {
                    step: Kind::Revoke,
                    late,
                }))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NobodyGetsIn => "nobody gets in",
            Self::CurrentDoesNot => "AWSCURRENT does not log in",
            Self::AfterTheWindows => "AWSCURRENT's password is to end",
            Self::OverlapCut => "AWSPREVIOUS does not log in within its window",
            Self::CameBack => "what had ended logs in again",
            Self::NotRevoked => "what was revoked logs in",
            Self::LeftOpen => "the old user's password has no end",
            Self::TooManyKeys => "a token has two keys",
            Self::NotPromoted => "a rotation is done, and its version is not AWSCURRENT",
            Self::Labels => "a label moves that must not",
            Self::NotStored => "the database gets a password that is not the token's",
            Self::DoesNotEnd(error) => return write!(f, "the rotation does not end ({error})"),
            Self::ClientRejected => "the client is rejected with every version",
        })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.broken.fmt(f)?;
        match self.by {
            None => Ok(()),
            Some(By { step, late: true }) => write!(f, ": a late {}", step.step()),
            Some(By { step, late: false }) => write!(f, ": {}", step.step()),
        }
    }
}
