//! A small text in a file, whose path may lead to anything.

use std::{
    fs::OpenOptions,
    io::{self, ErrorKind, Read},
    path::Path,
};

use secrecy::zeroize::Zeroizing;

/// The file's text, if it is a regular file of at most this many bytes.
///
/// The file is opened first and checked then, so that nothing can take its place in between. Opening a pipe would wait for a
/// writer, and a terminal could become this process's own.
pub(super) fn read(path: &Path, most: u64) -> io::Result<Zeroizing<String>> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use nix::libc::{O_NOCTTY, O_NONBLOCK};
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, O_NONBLOCK | O_NOCTTY);
    }
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(io::Error::new(
            ErrorKind::InvalidInput,
            "it is no regular file",
        ));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(most.saturating_add(1))
        .read_to_string(&mut text)?;
    if text.len() as u64 > most {
        let message = format!("it is larger than {} KiB", most / 1024);
        return Err(io::Error::new(ErrorKind::FileTooLarge, message));
    }
    Ok(text)
}
