//! What the repository's own files must hold: who imports whom, the tests that pages name, the manifests, the decisions, the kinds of files.

#![cfg(test)]

mod decisions;
mod imports;
mod kept_files;
mod manifests;
mod named_tests;
mod words;

use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files below a folder whose names end like this, without those that cargo and other tools write.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let (mut folders, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let is_ours = name != "target" && name != "node_modules" && !name.starts_with('.');
            if path.is_dir() && is_ours {
                folders.push(path);
            } else if name.ends_with(ending) {
                files.push(path);
            }
        }
    }
    files
}
