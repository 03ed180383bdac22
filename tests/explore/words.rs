//! Calls and answers in words.

use crate::{
    calls::{Answer, Call, Credential, Label, View, Write},
    line::Strategy,
};

pub(crate) fn call(strategy: Strategy, call: Call) -> String {
    let credential = |credential| password(strategy, credential);
    match call {
        Call::Describe => "DescribeSecret".to_owned(),
        Call::Read(label) => format!("GetSecretValue {}", label_name(label)),
        Call::ReadPending(version) => format!("GetSecretValue v{version} AWSPENDING"),
        Call::ReadVersion(version) => format!("GetSecretValue v{version}"),
        Call::ReadAdministrator => "GetSecretValue of the administrator's secret".to_owned(),
        Call::Put(version, value) => format!("PutSecretValue v{version} = {}", credential(value)),
        Call::Promote(to, from) => {
            format!("UpdateSecretVersionStage AWSCURRENT from v{from} to v{to}")
        }
        Call::LogIn(who) if strategy == Strategy::Keys => format!("GET with {}", credential(who)),
        Call::LogIn(who) => format!("log in as {} with {}", user(who.user), credential(who)),
        Call::LogInAdministrator => "log in as the administrator".to_owned(),
        Call::Lock => "BEGIN; lock".to_owned(),
        Call::Find(role) => format!("SELECT rolconnlimit of {}", user(role)),
        Call::Bound(role) => format!("SELECT the end of {}", user(role)),
        Call::Alter(change) => write(strategy, change),
        Call::Last(change) => format!("{}; COMMIT", write(strategy, change)),
        Call::Terminate(role) => format!("end the sessions of {}", user(role)),
        Call::Notify => "NOTIFY".to_owned(),
        Call::List => "GET the list of keys".to_owned(),
        Call::Make(version) => format!("POST a key for v{version}"),
        Call::Delete(key) => format!("DELETE key {key}"),
        Call::PutCurrent(version, value) => format!(
            "PutSecretValue v{version} = {} without stages",
            credential(value)
        ),
        Call::Overwrite(version, value) => {
            format!("v{version} is overwritten with {}", credential(value))
        }
        Call::Force(version) => {
            format!("UpdateSecretVersionStage AWSCURRENT from wherever to v{version}")
        }
        Call::TakeOff => "UpdateSecretVersionStage AWSPENDING from wherever".to_owned(),
        Call::Rollback => "the session ends without COMMIT".to_owned(),
    }
}

fn write(strategy: Strategy, write: Write) -> String {
    match write {
        Write::Create(role) => format!("CREATE ROLE {}", user(role)),
        Write::Password(new) => {
            format!(
                "ALTER ROLE {} PASSWORD {}",
                user(new.user),
                password(strategy, new)
            )
        }
        Write::Open(new) => {
            format!(
                "ALTER ROLE {} VALID UNTIL 'infinity' PASSWORD {}",
                user(new.user),
                password(strategy, new)
            )
        }
        Write::Until(role, _) => format!(
            "ALTER ROLE {} VALID UNTIL the end of the window",
            user(role)
        ),
        Write::End(role) => format!("ALTER ROLE {} VALID UNTIL '-infinity'", user(role)),
    }
}

pub(crate) fn answer(strategy: Strategy, answer: Answer) -> String {
    match answer {
        Answer::Lost => " -> the connection is gone".to_owned(),
        Answer::Labels(view) => format!(" -> {}", labels(&view)),
        Answer::Value(None) => " -> none".to_owned(),
        Answer::Value(Some((version, value, _))) => {
            format!(" -> v{version}: {}", password(strategy, value))
        }
        Answer::Refused => " -> refused".to_owned(),
        Answer::Conflict => " -> it has another value".to_owned(),
        Answer::Accepted => " -> accepted".to_owned(),
        Answer::Rejected => " -> rejected".to_owned(),
        Answer::Found(false) => " -> there is none".to_owned(),
        Answer::Until(None) => " -> it ends earlier".to_owned(),
        Answer::Keys(keys) => {
            let keys = (0..)
                .zip(keys)
                .filter_map(|(key, made)| made.map(|made| format!("{key} for v{made}")));
            format!(" -> {}", keys.collect::<Vec<_>>().join(", "))
        }
        Answer::Made(key) => format!(" -> key {key}"),
        Answer::NoSuchKey => " -> no such key".to_owned(),
        Answer::TimedOut | Answer::Done | Answer::Found(true) | Answer::Until(Some(_)) => {
            String::new()
        }
    }
}

fn labels(view: &View) -> String {
    let version =
        |version: Option<u8>| version.map_or("none".to_owned(), |version| format!("v{version}"));
    format!(
        "AWSCURRENT v{}, AWSPREVIOUS {}, AWSPENDING {}",
        view.current,
        version(view.previous),
        version(view.pending)
    )
}

fn label_name(label: Label) -> &'static str {
    match label {
        Label::Current => "AWSCURRENT",
        Label::Previous => "AWSPREVIOUS",
    }
}

fn user(user: u8) -> &'static str {
    ["app", "app_clone"][usize::from(user)]
}

/// The version that a password was made for.
fn password(strategy: Strategy, credential: Credential) -> String {
    let Credential { user, password } = credential;
    if strategy == Strategy::Keys {
        return format!("key {user}");
    }
    let of = if user == 0 { "app" } else { "app_clone" };
    match (
        password,
        password / Credential::EACH,
        password % Credential::EACH,
    ) {
        (1, ..) => format!("{of}'s password of before"),
        (_, version, 0) => format!("{of}'s password of v{version}"),
        (_, version, salt) => format!("{of}'s password of v{version}, another one ({salt})"),
    }
}
