//! One reading of a file or folder, whole or not at all.
//!
//! The state of a file or folder is compared before and after the reading. If it changed, it is read again: a volume's old
//! folder may go while its files are read.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::Path,
};

use secrecy::{ExposeSecret, SecretString, zeroize::Zeroize};
use serde::de::IgnoredAny;

use super::{
    super::{fingerprint, small_file},
    Kind, ProviderError, Version,
    seen::{Seen, is_absent},
};

/// A volume is replaced rarely, so more than a few changes in a row have another cause.
const TRIES: usize = 5;

/// The largest Secret that Kubernetes accepts (1 MiB), with all its keys.
const LARGEST: u64 = 1024 * 1024;

/// More keys than any secret has.
const MOST_FILES: usize = 1024;

pub(super) fn version(path: &Path) -> Result<Version, ProviderError> {
    for _ in 0..TRIES {
        let before = Seen::of(path).map_err(|error| not_read(path, &error))?;
        let document = document(path, &before);
        let after = Seen::of(path);
        if after.is_ok_and(|after| after == before) {
            let document = document?;
            return Ok(Version::text(
                fingerprint(document.expose_secret()),
                document,
            ));
        }
    }
    let message = format!(
        "{} changed each of the {TRIES} times it was read: have it replaced by a rename",
        path.display()
    );
    Err(ProviderError::new(Kind::Unavailable, message))
}

fn document(path: &Path, seen: &Seen) -> Result<SecretString, ProviderError> {
    if seen.is_file {
        return object(path);
    }
    if !seen.is_folder {
        let message = format!(
            "{} is neither a file nor a folder: name one",
            path.display()
        );
        return Err(invalid(message));
    }
    if !Seen::is_swapped(path) {
        let message = format!(
            "{} is a plain folder, whose files change one after the other: mount a volume there, replace a symbolic link to the \
             folder, or name a file with a JSON object",
            path.display()
        );
        return Err(invalid(message));
    }
    folder(&seen.place)
}

/// A file's text, which must be a JSON object: an unfinished file is none.
fn object(path: &Path) -> Result<SecretString, ProviderError> {
    let text = small_file::read(path, LARGEST).map_err(|error| not_read(path, &error))?;
    // the error would quote the unexpected text
    let whole = serde_json::from_str::<HashMap<String, IgnoredAny>>(&text).is_ok();
    if !whole {
        let message = format!(
            "{} holds no JSON object, or not the whole of one yet: write it to another file, and rename that",
            path.display()
        );
        return Err(invalid(message));
    }
    Ok(SecretString::from(text.as_str()))
}

/// The object of a folder's files.
fn folder(place: &Path) -> Result<SecretString, ProviderError> {
    let failed = |error| not_read(place, &error);
    let (mut values, mut room) = (BTreeMap::new(), LARGEST);
    for (number, entry) in fs::read_dir(place).map_err(failed)?.enumerate() {
        let entry = entry.map_err(failed)?;
        if number == MOST_FILES {
            let message = format!(
                "{} holds more than {MOST_FILES} files: it is not a secret's folder",
                place.display()
            );
            return Err(invalid(message));
        }
        let path = entry.path();
        // someone who can write the folder must not make this process read another file
        let leads_to = fs::canonicalize(&path).map_err(failed)?;
        if !leads_to.starts_with(place) {
            let message = format!(
                "{} leads out of its folder: have the file itself there",
                path.display()
            );
            return Err(invalid(message));
        }
        let text = match small_file::read(&leads_to, room) {
            Ok(text) => text,
            // a folder has its own keys, and its own id
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => continue,
            Err(error) => return Err(not_read(&path, &error)),
        };
        room -= text.len() as u64;
        if let Ok(key) = entry.file_name().into_string() {
            let value = text.strip_suffix('\n').unwrap_or(&text);
            let value = value.strip_suffix('\r').unwrap_or(value);
            values.insert(key, value.to_owned());
        }
    }
    if values.is_empty() {
        let message = format!(
            "{} holds no file: see the volume's items, and the Secret's keys",
            place.display()
        );
        return Err(invalid(message));
    }
    let document = serde_json::to_string(&values);
    values.values_mut().for_each(Zeroize::zeroize);
    let document = document.map_err(|_| invalid("a folder makes no document".to_owned()))?;
    Ok(document.into())
}

fn not_read(path: &Path, error: &io::Error) -> ProviderError {
    let path = path.display();
    let (kind, advice) = match error.kind() {
        _ if is_absent(error) => (
            Kind::NotFound,
            "check the secret's id, and that the volume is mounted there",
        ),
        io::ErrorKind::PermissionDenied => (
            Kind::AccessDenied,
            "let this process read it: the volume's defaultMode, and fsGroup",
        ),
        io::ErrorKind::InvalidData => (
            Kind::Invalid,
            "a secret's file is UTF-8: leave it out of the volume's items, or encode it",
        ),
        io::ErrorKind::FileTooLarge => (
            Kind::Invalid,
            "a secret is not larger than 1 MiB, with all the files of its folder: leave out other files",
        ),
        io::ErrorKind::InvalidInput => (Kind::Invalid, "have a file there"),
        _ => (Kind::Unavailable, "see what is mounted there"),
    };
    ProviderError::new(kind, format!("{path} cannot be read ({error}): {advice}"))
}

fn invalid(message: String) -> ProviderError {
    ProviderError::new(Kind::Invalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_of_the_file_system_makes_a_file_absent_or_forbidden() {
        for (error, kind) in [
            (io::ErrorKind::NotFound, Kind::NotFound),
            (io::ErrorKind::NotADirectory, Kind::NotFound),
            (io::ErrorKind::PermissionDenied, Kind::AccessDenied),
            (io::ErrorKind::StaleNetworkFileHandle, Kind::Unavailable),
            (io::ErrorKind::NotConnected, Kind::Unavailable),
            (io::ErrorKind::Other, Kind::Unavailable),
        ] {
            assert_eq!(not_read(Path::new("x"), &error.into()).kind(), kind);
        }
    }
}
