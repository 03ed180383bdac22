//! The tables `[[files]]` as written, and their errors.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
    time::Duration,
};

use nix::unistd::{Gid, Group, Uid, User};
use serde::Deserialize;

use super::files::{After, File, Folder, Format, Owner};
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

/// The valid tables. Errors go to `problems`.
pub(super) fn read(tables: Vec<Table>, problems: &mut Vec<String>) -> Vec<Folder> {
    let (mut folders, mut directories) = (Vec::new(), BTreeSet::new());
    for table in tables {
        let directory = table.directory.clone();
        let read = match directories.insert(directory.clone()) {
            true => table.read(),
            false => Err("the directory is that of another table: name one for each".to_owned()),
        };
        match read {
            Ok(folder) => folders.push(folder),
            Err(problem) => problems.push(format!("files in {}: {problem}", directory.display())),
        }
    }
    folders
}

impl Table {
    fn read(self) -> Result<Folder, String> {
        if self.secret.is_empty() || !is_sound(&self.secret) {
            return Err("secret is no secret's id: write its name or its ARN".to_owned());
        }
        if !is_plain_path(&self.directory) {
            return Err("the directory is no absolute path without . and ..".to_owned());
        }
        let mode = mode(self.mode.as_deref().unwrap_or("0600"))?;
        let owner = self.owner.as_deref().map(owner).transpose()?;
        let after = self.after.map(Then::read).transpose()?;
        let write = match self.write.is_empty() {
            true => vec![Write::default()],
            false => self.write,
        };
        let files = write.into_iter().map(Write::read);
        let files: Vec<File> = files.collect::<Result<_, _>>()?;
        let names: BTreeSet<&str> = files.iter().map(|file| &*file.name).collect();
        if names.len() < files.len() {
            return Err("two files have the same name".to_owned());
        }
        if mode & 0o077 != 0 && files.iter().any(|file| file.format == Format::Pgpass) {
            return Err(format!(
                "libpq ignores a pgpass of mode {mode:04o}: write mode = \"0600\" and the application's user as owner"
            ));
        }
        Ok(Folder {
            secret: self.secret,
            directory: self.directory,
            owner: owner.unwrap_or_default(),
            mode,
            shared_parent: self.shared_parent,
            required: self.required.unwrap_or(true),
            after,
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

fn mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode & !0o640 == 0 && mode & 0o400 != 0 => Ok(mode),
        _ => Err(format!(
            "mode = \"{text}\" is none of 0400, 0440, 0600 and 0640: who else should read the files belongs to their group"
        )),
    }
}

/// `user`, `user:group` or `:group`, by name or number. A user alone stands for its own group too.
pub(super) fn owner(text: &str) -> Result<Owner, String> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let unknown = |what: &str| format!("owner = \"{text}\": this machine knows no such {what}");
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
    fn read(self) -> Result<After, String> {
        let within = match self.within.as_deref().map(humantime::parse_duration) {
            None => WITHIN,
            Some(Ok(within)) if !within.is_zero() => within,
            Some(_) => return Err("after: within is no time: write 30s".to_owned()),
        };
        match (self.command, self.signal, self.pid_file) {
            (Some(command), None, None) => {
                let has_no_nul = |part: &String| !part.contains('\0');
                match command.first() {
                    Some(program) if !program.is_empty() && command.iter().all(has_no_nul) => {
                        Ok(After::Command { command, within })
                    }
                    _ => Err(
                        "after: command is empty, or has a NUL: write [\"program\", \"argument\"]"
                            .to_owned(),
                    ),
                }
            }
            (None, Some(name), Some(pid_file)) if self.within.is_none() => {
                let signal = signal(&name)
                    .ok_or_else(|| format!("after: signal = \"{name}\" is no signal: write HUP"))?;
                Ok(After::Signal { signal, pid_file })
            }
            _ => Err(
                "after: write command, with or without within; or signal and pid_file".to_owned(),
            ),
        }
    }
}

impl Write {
    fn read(self) -> Result<File, String> {
        let format = self.format.unwrap_or_default();
        let of = |is_set: bool, key: &str, is_here: bool, there: &str| match is_set && !is_here {
            true => Err(format!(
                "{key} belongs to the format {there}: correct one of them"
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
                    return Err(format!(
                        "values: {name} is no variable's name: write letters, digits and _"
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
            return Err(format!("name = {name:?} is no file's name"));
        }
        Ok(File { name, format })
    }
}

fn check_service(service: &str, parameters: &BTreeMap<String, String>) -> Result<(), String> {
    let is_allowed = |letter: char| letter != ']' && !letter.is_control();
    if service.is_empty() || service.len() > 100 || !service.chars().all(is_allowed) {
        return Err(format!("service = {service:?} is no service's name"));
    }
    for key in parameters.keys() {
        match &**key {
            "user" | "password" => {
                return Err(format!(
                    "parameters: {key} comes from the secret: leave it out"
                ));
            }
            "service" | "servicefile" => {
                return Err(format!(
                    "parameters: libpq refuses {key} in a service: leave it out"
                ));
            }
            key if key.is_empty()
                || !key
                    .bytes()
                    .all(|byte| byte == b'_' || byte.is_ascii_lowercase()) =>
            {
                return Err(format!("parameters: {key:?} is no parameter of libpq"));
            }
            _ => {}
        }
    }
    Ok(())
}
