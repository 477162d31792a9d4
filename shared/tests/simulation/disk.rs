//! A disk under a page cache: what programs see, and what a power loss leaves.
//!
//! Every file has its content and the content that was synced; every name the file it stands for and all it stood for
//! since its directory was synced. A power loss leaves of each file a mixture of both contents, page by page, zeros where
//! a page never arrived; and of each name any of the files it stood for. That is more than a journalling file system
//! loses, and less than nothing.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::random::Random;

/// Pages that arrive or do not. Small, so that small files have several.
const PAGE: usize = 64;

#[derive(Debug, Clone, Default)]
pub(crate) struct Inode {
    pub(crate) data: Vec<u8>,
    synced: Vec<u8>,
    pub(crate) mtime_ns: i128,
}

/// A name: what it stands for, and what it stood for since the last sync of its directory, oldest first.
#[derive(Debug, Clone, Default)]
struct Name {
    now: Option<u64>,
    before: Vec<Option<u64>>,
}

#[derive(Debug, Default)]
pub(crate) struct Files {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, Name>,
    dirs: Vec<PathBuf>,
}

impl Files {
    pub(crate) fn make_dir(&mut self, path: &Path) {
        if !self.dirs.iter().any(|dir| dir == path) {
            self.dirs.push(path.to_owned());
        }
    }

    pub(crate) fn find(&self, path: &Path) -> io::Result<u64> {
        let found = self.names.get(path).and_then(|name| name.now);
        found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    pub(crate) fn inode(&self, ino: u64) -> &Inode {
        &self.inodes[usize::try_from(ino).unwrap()]
    }

    pub(crate) fn inode_mut(&mut self, ino: u64) -> &mut Inode {
        &mut self.inodes[usize::try_from(ino).unwrap()]
    }

    /// Names an open file still has.
    pub(crate) fn links(&self, ino: u64) -> u64 {
        self.names.values().filter(|name| name.now == Some(ino)).count() as u64
    }

    pub(crate) fn create(&mut self, path: &Path) -> io::Result<u64> {
        if self.find(path).is_ok() {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        let ino = self.inodes.len() as u64;
        self.inodes.push(Inode::default());
        self.point(path, Some(ino));
        Ok(ino)
    }

    pub(crate) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let ino = self.find(from)?;
        self.point(to, Some(ino));
        self.point(from, None);
        Ok(())
    }

    pub(crate) fn exchange(&mut self, a: &Path, b: &Path) -> io::Result<()> {
        let (first, second) = (self.find(a)?, self.find(b)?);
        self.point(a, Some(second));
        self.point(b, Some(first));
        Ok(())
    }

    pub(crate) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.find(path)?;
        self.point(path, None);
        Ok(())
    }

    fn point(&mut self, path: &Path, to: Option<u64>) {
        let name = self.names.entry(path.to_owned()).or_default();
        let before = std::mem::replace(&mut name.now, to);
        name.before.push(before);
    }

    pub(crate) fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        if !self.dirs.iter().any(|known| known == dir) {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        let inside =
            self.names.iter().filter(|(path, name)| name.now.is_some() && path.parent() == Some(dir));
        Ok(inside.map(|(path, _)| path.file_name().unwrap().to_str().unwrap().to_owned()).collect())
    }

    pub(crate) fn sync(&mut self, ino: u64) {
        let inode = self.inode_mut(ino);
        inode.synced = inode.data.clone();
    }

    pub(crate) fn sync_dir(&mut self, dir: &Path) {
        for (_, name) in self.names.iter_mut().filter(|(path, _)| path.parent() == Some(dir)) {
            name.before.clear();
        }
    }

    /// Everything is on the disk: where a run begins.
    pub(crate) fn settle(&mut self) {
        self.names.values_mut().for_each(|name| name.before.clear());
        self.inodes.iter_mut().for_each(|inode| inode.synced = inode.data.clone());
    }

    /// The power fails.
    pub(crate) fn lose_power(&mut self, random: &mut Random) {
        for name in self.names.values_mut() {
            let mut all = std::mem::take(&mut name.before);
            all.push(name.now);
            name.now = random.pick(&all);
        }
        for inode in &mut self.inodes {
            if inode.data != inode.synced {
                inode.data = torn(&inode.synced, &inode.data, random);
            }
            inode.synced = inode.data.clone();
        }
    }
}

/// Some of the pages of the new content over the synced one.
fn torn(synced: &[u8], new: &[u8], random: &mut Random) -> Vec<u8> {
    match random.below(4) {
        0 => return synced.to_vec(),
        1 => return new.to_vec(),
        _ => {}
    }
    let (short, long) = (synced.len().min(new.len()), synced.len().max(new.len()));
    let length = short + usize::try_from(random.below((long - short + 1) as u64)).unwrap();
    let mut out = Vec::with_capacity(length);
    while out.len() < length {
        let end = (out.len() + PAGE).min(length);
        let arrived = random.chance(2, 3);
        let from = if arrived { new } else { synced };
        for at in out.len()..end {
            out.push(from.get(at).copied().unwrap_or(0));
        }
    }
    out
}
