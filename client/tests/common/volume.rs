//! A mounted volume, as a kubelet makes and replaces it.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use tempfile::TempDir;

pub(crate) struct Volume {
    folder: TempDir,
    writes: AtomicUsize,
}

impl Volume {
    /// Nothing is mounted yet.
    pub(crate) fn empty() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            writes: AtomicUsize::new(0),
        }
    }

    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let volume = Self::empty();
        volume.write(files);
        volume
    }

    pub(crate) fn below(&self) -> &Path {
        self.folder.path()
    }

    /// Its mount point.
    pub(crate) fn path(&self) -> PathBuf {
        self.below().join("orders-db")
    }

    /// The steps of Kubernetes' AtomicWriter, in its order: a folder with the time in its name, its files, a link `..data_tmp`, which is
    /// renamed, the links that people see, and the end of the folder before.
    pub(crate) fn write(&self, files: &[(&str, &str)]) {
        let mount = self.path();
        fs::create_dir_all(&mount).unwrap();
        let before = fs::read_link(mount.join("..data")).ok();
        let count = self.writes.fetch_add(1, Ordering::SeqCst);
        let dated = format!("..2026_11_29_02_50_01.{count:09}");
        fs::create_dir(mount.join(&dated)).unwrap();
        for (name, text) in files {
            fs::write(mount.join(&dated).join(name), text).unwrap();
        }
        symlink(&dated, mount.join("..data_tmp")).unwrap();
        fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
        for (name, _) in files {
            let link = mount.join(name);
            if !link.is_symlink() {
                symlink(Path::new("..data").join(name), link).unwrap();
            }
        }
        if let Some(before) = before {
            fs::remove_dir_all(mount.join(before)).unwrap();
        }
    }
}
