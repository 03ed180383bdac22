//! A step's calls and their answers: small values, so that a search can keep millions of them.

use secret_rotation::event::Step;

/// A version of the secret, by number: a rotation's token, or one that was written by hand.
pub(crate) type Version = u8;

/// A user and a password, or a key. The number of a password names the version that it was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Credential {
    pub(crate) user: u8,
    pub(crate) password: u8,
}

impl Credential {
    /// How many passwords can be made for one version.
    pub(crate) const EACH: u8 = 8;
}

/// The labels, as DescribeSecret shows them, and the versions that have a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct View {
    pub(crate) current: Version,
    pub(crate) previous: Option<Version>,
    pub(crate) pending: Option<Version>,
    /// One bit for each version.
    pub(crate) valued: u32,
    pub(crate) enabled: bool,
    /// When the last rotation ended.
    pub(crate) rotated: Option<u8>,
}

impl View {
    pub(crate) fn has_value(&self, version: Version) -> bool {
        self.valued & (1 << version) != 0
    }

    /// No rotation is in progress.
    pub(crate) fn at_rest(&self) -> bool {
        self.pending.is_none_or(|pending| pending == self.current)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Label {
    Current,
    Previous,
}

/// What is changed of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Write {
    /// CREATE ROLE, which does not log in yet.
    Create(u8),
    /// ALTER ROLE … PASSWORD.
    Password(Credential),
    /// ALTER ROLE … LOGIN VALID UNTIL 'infinity' PASSWORD.
    Open(Credential),
    /// ALTER ROLE … VALID UNTIL this time.
    Until(u8, u8),
    /// ALTER ROLE … VALID UNTIL '-infinity'.
    End(u8),
}

/// A call to the store, a statement to the database, or a request to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Call {
    Describe,
    Read(Label),
    /// By version id.
    ReadVersion(Version),
    /// By version id and AWSPENDING.
    ReadPending(Version),
    ReadAdministrator,
    Put(Version, Credential),
    /// To the first version, from the second.
    Promote(Version, Version),

    LogIn(Credential),
    LogInAdministrator,
    /// BEGIN and the lock, one message.
    Lock,
    /// Does the role exist?
    Find(u8),
    /// The time at which this role must end; None if it ends earlier already.
    Bound(u8),
    Alter(Write),
    /// The last change and COMMIT, one message.
    Last(Write),
    /// Ends the sessions of a role.
    Terminate(u8),
    Notify,

    /// GET of all keys, POST for a version, DELETE of one key. A login is GET with the key.
    List,
    Make(Version),
    Delete(u8),

    // Calls that only a mistake makes.
    /// PutSecretValue that promotes at once.
    PutCurrent(Version, Credential),
    /// Another value for the same version.
    Overwrite(Version, Credential),
    /// Moves AWSCURRENT without a check of where it is.
    Force(Version),
    /// Takes AWSPENDING off.
    TakeOff,
    /// ROLLBACK, by a session that ends without COMMIT.
    Rollback,
}

/// The answer to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Answer {
    /// Nothing: the caller does not know whether it had its effect.
    Lost,
    /// Another session held the lock for too long.
    TimedOut,
    Labels(View),
    /// With when it was stored.
    Value(Option<(Version, Credential, u8)>),
    Refused,
    Conflict,
    Done,
    Accepted,
    Rejected,
    Found(bool),
    Until(Option<u8>),
    /// For each number whether the key exists, and for which version it was made.
    Keys([Option<Version>; 10]),
    Made(u8),
    NoSuchKey,
}

impl Call {
    /// Whether it changes something. For a read, both kinds of lost answers are the same.
    pub(crate) fn writes(self) -> bool {
        match self {
            Self::Describe
            | Self::Read(_)
            | Self::ReadPending(_)
            | Self::ReadVersion(_)
            | Self::ReadAdministrator
            | Self::LogIn(_)
            | Self::LogInAdministrator
            | Self::Find(_)
            | Self::Bound(_)
            | Self::Terminate(_)
            | Self::Notify
            | Self::List => false,
            // a transaction without its connection loses all its changes, and the lock
            Self::Lock | Self::Alter(_) | Self::Rollback => false,
            _ => true,
        }
    }

    /// Whether the store answers it; such an answer may lag.
    pub(crate) fn may_lag(self) -> bool {
        matches!(
            self,
            Self::Describe | Self::Read(_) | Self::ReadPending(_) | Self::ReadVersion(_)
        )
    }

    /// Whether Secrets Manager is asked, on a connection of its own.
    pub(crate) fn is_of_the_store(self) -> bool {
        self.may_lag()
            || matches!(
                self,
                Self::ReadAdministrator
                    | Self::Put(..)
                    | Self::Promote(..)
                    | Self::PutCurrent(..)
                    | Self::Overwrite(..)
                    | Self::Force(_)
                    | Self::TakeOff
            )
    }

    /// Whether it waits for the lock.
    pub(crate) fn locks(self) -> bool {
        self == Self::Lock
    }
}

/// A delivery of a step: everything that its course depends on, without the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Start {
    pub(crate) step: Kind,
    pub(crate) token: Version,
    /// What its environment remembers.
    pub(crate) memory: u32,
    /// Which of the passwords for this token it makes, if it makes one.
    pub(crate) salt: u8,
    pub(crate) now: u8,
}

/// [`Step`], which has no order and no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Create,
    Set,
    Test,
    Finish,
    Revoke,
}

impl Kind {
    pub(crate) const STEPS: [Self; 4] = [Self::Create, Self::Set, Self::Test, Self::Finish];

    pub(crate) fn step(self) -> Step {
        match self {
            Self::Create => Step::Create,
            Self::Set => Step::Set,
            Self::Test => Step::Test,
            Self::Finish => Step::Finish,
            Self::Revoke => Step::Revoke,
        }
    }
}
