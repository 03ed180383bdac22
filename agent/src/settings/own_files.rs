//! The tables `[[files]]` as written, and their errors.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
    time::Duration,
};

use nix::unistd::{Gid, Group, Uid, User};
use serde::Deserialize;

use super::{
    files::{After, File, Folder, Format, Owner},
    mistakes::{Mistake, keep},
};
use crate::{
    names::{is_variable, signal},
    spelling::is_sound,
};

/// How long a command may take, if not set.
const WITHIN: Duration = Duration::from_secs(30);

/// A table `[[files]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    secret: String,
    directory: PathBuf,
    owner: Option<String>,
    mode: Option<String>,
    #[serde(default)]
    shared_parent: bool,
    required: Option<bool>,
    after: Option<Then>,
    #[serde(default)]
    write: Vec<Write>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Then {
    command: Option<Vec<String>>,
    within: Option<String>,
    signal: Option<String>,
    pid_file: Option<PathBuf>,
}

/// A table `[[files.write]]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Write {
    name: Option<String>,
    format: Option<Named>,
    service: Option<String>,
    parameters: Option<BTreeMap<String, String>>,
    values: Option<BTreeMap<String, String>>,
    key: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Named {
    #[default]
    PgService,
    Pgpass,
    Userlist,
    Env,
    Json,
    Plain,
}

/// The valid tables. Errors go to `mistakes`.
pub(super) fn read(tables: Vec<Table>, mistakes: &mut Vec<Mistake>) -> Vec<Folder> {
    let mut directories = BTreeSet::new();
    let read = |(at, table): (usize, Table)| {
        let at = format!("files.{at}");
        if !directories.insert(table.directory.clone()) {
            let told = "it is that of another table: name one for each";
            mistakes.push(Mistake::new(format!("{at}.directory"), told));
        }
        table.read(&at, mistakes)
    };
    tables.into_iter().enumerate().filter_map(read).collect()
}

impl Table {
    fn read(self, at: &str, mistakes: &mut Vec<Mistake>) -> Option<Folder> {
        let (before, at_key) = (mistakes.len(), |key: &str| format!("{at}.{key}"));
        if self.secret.is_empty() || !is_sound(&self.secret) {
            let told = "it is no secret's id: write its name or its ARN";
            mistakes.push(Mistake::new(at_key("secret"), told));
        }
        if !is_plain_path(&self.directory) {
            let told = "it is no absolute path without . and ..: write one";
            mistakes.push(Mistake::new(at_key("directory"), told));
        }
        let mode = keep(mode(self.mode.as_deref().unwrap_or("0600")), at, mistakes);
        let owner = keep(self.owner.as_deref().map(owner).transpose(), at, mistakes);
        let after = keep(self.after.map(Then::read).transpose(), at, mistakes);
        let write = match self.write.is_empty() {
            true => vec![Write::default()],
            false => self.write,
        };
        let mut files: Vec<File> = Vec::new();
        for (number, write) in write.into_iter().enumerate() {
            let at = format!("{at}.write.{number}");
            let Some(file) = keep(write.read(), &at, mistakes) else {
                continue;
            };
            if files.iter().any(|other| other.name == file.name) {
                let told = "another file has the same name: name one for each";
                mistakes.push(Mistake::new(format!("{at}.name"), told));
            }
            files.push(file);
        }
        let is_pgpass = |file: &File| file.format == Format::Pgpass;
        if mode.is_some_and(|mode| mode & 0o077 != 0) && files.iter().any(is_pgpass) {
            let told = "libpq ignores a pgpass that others may read: write 0600, and the application's user as owner";
            mistakes.push(Mistake::new(at_key("mode"), told));
        }
        if mistakes.len() > before {
            return None;
        }
        Some(Folder {
            secret: self.secret,
            directory: self.directory,
            owner: owner?.unwrap_or_default(),
            mode: mode?,
            shared_parent: self.shared_parent,
            required: self.required.unwrap_or(true),
            after: after?,
            files,
        })
    }
}

pub(super) fn is_plain_path(path: &Path) -> bool {
    let mut parts = path.components();
    let is_absolute = parts.next() == Some(Component::RootDir);
    let parts: Vec<Component<'_>> = parts.collect();
    let is_plain = |part: &Component<'_>| matches!(part, Component::Normal(_));
    // components() drops the dots
    let dots = path
        .as_os_str()
        .as_encoded_bytes()
        .split(|byte| *byte == b'/');
    is_absolute
        && !parts.is_empty()
        && parts.iter().all(is_plain)
        && !dots.into_iter().any(|part| part == b".")
}

fn mode(text: &str) -> Result<u32, Mistake> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode & !0o640 == 0 && mode & 0o400 != 0 => Ok(mode),
        _ => Err(Mistake::new(
            "mode",
            "it is none of 0400, 0440, 0600 and 0640: write one; who else should read the files belongs to their group",
        )),
    }
}

/// `user`, `user:group` or `:group`, by name or number. A user alone stands for its own group too.
pub(super) fn owner(text: &str) -> Result<Owner, Mistake> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let unknown = |what: &str| {
        let told = format!("this machine knows no such {what}: write a name or a number");
        Mistake::new("owner", told)
    };
    let mut owner = Owner::default();
    if !user.is_empty() {
        let named = User::from_name(user).ok().flatten();
        owner = match (&named, user.parse()) {
            (Some(named), _) => Owner {
                user: Some(named.uid),
                group: Some(named.gid),
            },
            (None, Ok(number)) => Owner {
                user: Some(Uid::from_raw(number)),
                group: None,
            },
            (None, Err(_)) => return Err(unknown("user")),
        };
    }
    if let Some(group) = group {
        let named = Group::from_name(group).ok().flatten();
        let named = named.map(|named| named.gid);
        let number = || group.parse().ok().map(Gid::from_raw);
        owner.group = Some(named.or_else(number).ok_or_else(|| unknown("group"))?);
    }
    match (owner.user, owner.group) {
        (None, None) => Err(unknown("user")),
        _ => Ok(owner),
    }
}

impl Then {
    fn read(self) -> Result<After, Mistake> {
        let within = match self.within.as_deref().map(humantime::parse_duration) {
            None => WITHIN,
            Some(Ok(within)) if !within.is_zero() => within,
            Some(_) => {
                return Err(Mistake::new(
                    "after.within",
                    "write a time above zero, as 30s",
                ));
            }
        };
        match (self.command, self.signal, self.pid_file) {
            (Some(command), None, None) => {
                let has_no_nul = |part: &String| !part.contains('\0');
                match command.first() {
                    Some(program) if !program.is_empty() && command.iter().all(has_no_nul) => {
                        Ok(After::Command { command, within })
                    }
                    _ => Err(Mistake::new(
                        "after.command",
                        "it is empty, or has a NUL: write [\"program\", \"argument\"]",
                    )),
                }
            }
            (None, Some(name), Some(pid_file)) if self.within.is_none() => {
                let signal = signal(&name)
                    .ok_or_else(|| Mistake::new("after.signal", "it is no signal: write HUP"))?;
                Ok(After::Signal { signal, pid_file })
            }
            _ => Err(Mistake::new(
                "after",
                "write command, with or without within; or signal and pid_file",
            )),
        }
    }
}

impl Write {
    fn read(self) -> Result<File, Mistake> {
        let format = self.format.unwrap_or_default();
        let of = |is_set: bool, key: &str, is_here: bool, there: &str| match is_set && !is_here {
            true => Err(Mistake::new(
                key,
                format!("it belongs to the format {there}: correct one of them"),
            )),
            false => Ok(()),
        };
        let is_service = matches!(format, Named::PgService);
        of(self.service.is_some(), "service", is_service, "pg_service")?;
        of(
            self.parameters.is_some(),
            "parameters",
            is_service,
            "pg_service",
        )?;
        of(
            self.values.is_some(),
            "values",
            matches!(format, Named::Env),
            "env",
        )?;
        of(
            self.key.is_some(),
            "key",
            matches!(format, Named::Plain),
            "plain",
        )?;
        let (name, format) = match format {
            Named::PgService => {
                let service = self.service.unwrap_or_else(|| "default".to_owned());
                let parameters = self.parameters.unwrap_or_default();
                check_service(&service, &parameters)?;
                (
                    "pg_service.conf",
                    Format::PgService {
                        service,
                        parameters,
                    },
                )
            }
            Named::Pgpass => ("pgpass", Format::Pgpass),
            Named::Userlist => ("userlist.txt", Format::Userlist),
            Named::Env => {
                let values = self.values.unwrap_or_default();
                if let Some(name) = values.keys().find(|name| !is_variable(name)) {
                    return Err(Mistake::new(
                        "values",
                        format!("{name} is no variable's name: write letters, digits and _"),
                    ));
                }
                (".env", Format::Env { values })
            }
            Named::Json => ("secret.json", Format::Json),
            Named::Plain => ("secret", Format::Plain { key: self.key }),
        };
        let name = self.name.unwrap_or_else(|| name.to_owned());
        let is_name =
            !name.is_empty() && name.len() <= 255 && name != "." && !name.starts_with("..");
        if !is_name || name.contains(|letter: char| letter == '/' || letter.is_control()) {
            return Err(Mistake::new(
                "name",
                "it is no file's name: write one without /",
            ));
        }
        Ok(File { name, format })
    }
}

fn check_service(service: &str, parameters: &BTreeMap<String, String>) -> Result<(), Mistake> {
    let wrong = |told: String| Err(Mistake::new("parameters", told));
    let is_allowed = |letter: char| letter != ']' && !letter.is_control();
    if service.is_empty() || service.len() > 100 || !service.chars().all(is_allowed) {
        let told = "it is no service's name: write one of at most 100 letters, without ]";
        return Err(Mistake::new("service", told));
    }
    for key in parameters.keys() {
        match &**key {
            "user" | "password" => {
                return wrong(format!("{key} comes from the secret: leave it out"));
            }
            "service" | "servicefile" => {
                return wrong(format!("libpq refuses {key} in a service: leave it out"));
            }
            key if key.is_empty()
                || !key
                    .bytes()
                    .all(|byte| byte == b'_' || byte.is_ascii_lowercase()) =>
            {
                return wrong(format!("{key:?} is no parameter of libpq: correct it"));
            }
            _ => {}
        }
    }
    Ok(())
}
