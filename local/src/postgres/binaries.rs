//! Finds the server's binaries.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::Error;

/// Parent folders with one folder for each version, and the text before the version in its name.
const VERSIONED: [(&str, &str); 3] = [
    ("/usr/lib/postgresql", ""),          // Debian: 15/bin
    ("/opt/homebrew/opt", "postgresql@"), // Homebrew on Apple's processors: postgresql@17/bin
    ("/usr/local/opt", "postgresql@"),    // Homebrew on Intel's
];

/// The folder with `initdb` and `postgres`: `POSTGRES_BIN` if set, else PATH, else pg_config's answer, else the usual folders.
pub(super) fn folder() -> Result<PathBuf, Error> {
    if let Some(named) = env::var_os("POSTGRES_BIN") {
        return Some(PathBuf::from(named))
            .filter(|folder| complete(folder))
            .ok_or(Error::NotInstalled);
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .filter(|folder| complete(folder))
        // follow links such as /usr/local/bin/initdb: the other programs are beside the target
        .find_map(|folder| {
            fs::canonicalize(folder.join("initdb"))
                .ok()?
                .parent()
                .map(Path::to_owned)
        })
        .or_else(pg_config)
        .or_else(usual_places)
        .filter(|folder| complete(folder))
        .ok_or(Error::NotInstalled)
}

fn complete(folder: &Path) -> bool {
    ["initdb", "postgres"]
        .iter()
        .all(|program| folder.join(program).is_file())
}

fn pg_config() -> Option<PathBuf> {
    let answer = Command::new("pg_config").arg("--bindir").output().ok()?;
    Some(PathBuf::from(String::from_utf8(answer.stdout).ok()?.trim()))
        .filter(|folder| complete(folder))
}

fn usual_places() -> Option<PathBuf> {
    VERSIONED
        .iter()
        .flat_map(|(parent, prefix)| versions(Path::new(parent), prefix))
        .max_by_key(|(version, _)| *version)
        .map(|(_, folder)| folder)
}

/// The complete installations below a folder, by major version.
fn versions(parent: &Path, prefix: &str) -> Vec<(u32, PathBuf)> {
    let Ok(entries) = fs::read_dir(parent) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            let version = name.strip_prefix(prefix)?.parse().ok()?;
            let folder = parent.join(&name).join("bin");
            complete(&folder).then_some((version, folder))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(parent: &Path, name: &str) {
        let bin = parent.join(name).join("bin");
        fs::create_dir_all(&bin).unwrap();
        fs::write(bin.join("initdb"), "").unwrap();
        fs::write(bin.join("postgres"), "").unwrap();
    }

    #[test]
    fn installed_versions_are_found_in_the_folders_of_debian_and_of_homebrew() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["9", "15", "postgresql@17", "postgresql@x", "other"] {
            install(folder.path(), name);
        }
        fs::create_dir_all(folder.path().join("16/bin")).unwrap(); // without a server
        let found = |prefix| {
            let mut found: Vec<u32> = versions(folder.path(), prefix)
                .into_iter()
                .map(|(v, _)| v)
                .collect();
            found.sort_unstable();
            found
        };
        assert_eq!(found(""), [9, 15]);
        assert_eq!(found("postgresql@"), [17]);
    }
}
