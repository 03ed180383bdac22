//! The state of a file or a folder.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// The link in a mounted volume that is replaced to change all its files at once (Kubernetes' atomic writer).
const DATA: &str = "..data";

/// The target of a path. Two equal values had the same content.
#[derive(Debug, PartialEq)]
pub(super) struct Seen {
    /// The path without links. For a volume, the folder that `..data` led to.
    pub(super) place: PathBuf,
    pub(super) is_folder: bool,
    pub(super) is_file: bool,
    pub(super) length: u64,
    /// The file's identity, and when it changed by the kernel's own clock: its time of modification can be set, and often is.
    changed: (u64, i64, i64),
}

impl Seen {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let place = match fs::canonicalize(path.join(DATA)) {
            Ok(place) => place,
            Err(error) if is_absent(&error) => fs::canonicalize(path)?,
            Err(error) => return Err(error),
        };
        let metadata = fs::metadata(&place)?;
        Ok(Self {
            is_folder: metadata.is_dir(),
            is_file: metadata.is_file(),
            length: metadata.len(),
            changed: (metadata.ino(), metadata.ctime(), metadata.ctime_nsec()),
            place,
        })
    }

    /// Whether all of it is replaced at once: the path goes through a link.
    pub(super) fn is_swapped(path: &Path) -> bool {
        [path.join(DATA).as_path(), path]
            .into_iter()
            .any(Path::is_symlink)
    }
}

/// The file system says that there is no such file.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
