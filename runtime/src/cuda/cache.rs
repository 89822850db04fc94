//! Compiled kernels on disk, so that a program compiles them once per machine.
//!
//! An entry is a file: a header, then the key (all that the code depends on: text, options, architecture, version of NVRTC),
//! then the code. The key is compared as a whole, so the name of the file, a short hash, may collide; a checksum tells damaged
//! entries. A file appears complete or not at all, so several processes may use one folder. Nothing here is an error: without
//! a cache, kernels are compiled.

use std::io::{self, Write};
#[cfg(test)]
use std::path::Path;
use std::path::PathBuf;
use std::sync::Once;

/// The folder; an empty value does without.
const VARIABLE: &str = "GRAVEN_CACHE";

/// The first bytes of an entry. The number is that of this format.
const MAGIC: &[u8; 16] = b"graven kernel 1\n";

/// Magic, length of the key, length of the code, checksum of both.
const HEADER: usize = 16 + 3 * 8;

/// A folder of compiled kernels.
#[derive(Debug)]
pub(super) struct Cache {
    folder: Option<PathBuf>,
}

impl Cache {
    /// The folder of this user.
    pub(super) fn of_this_user() -> Self {
        let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let folder = match variable(VARIABLE) {
            Some(folder) => Some(folder).filter(|folder| !folder.as_os_str().is_empty()),
            None => user_folder(variable),
        };
        Self { folder }
    }

    #[cfg(test)]
    fn at(folder: &Path) -> Self {
        Self { folder: Some(folder.to_path_buf()) }
    }

    /// The code of this key, if it is there and whole.
    pub(super) fn get(&self, key: &str) -> Option<Vec<u8>> {
        parse(std::fs::read(self.path(key)?).ok()?, key)
    }

    /// Keeps the code of this key. If that does not work, a note on standard error says why, once.
    pub(super) fn put(&self, key: &str, code: &[u8]) {
        static NOTE: Once = Once::new();
        if let (Some(folder), Err(error)) = (&self.folder, self.write(key, code)) {
            NOTE.call_once(|| {
                eprintln!(
                    "note: graven cannot keep compiled kernels in {}: {error}; they will be compiled again\n\
                     help: set {VARIABLE} to a folder that can be written",
                    folder.display()
                );
            });
        }
    }

    fn write(&self, key: &str, code: &[u8]) -> io::Result<()> {
        let (Some(folder), Some(path)) = (&self.folder, self.path(key)) else { return Ok(()) };
        std::fs::create_dir_all(folder)?;
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
        file.write_all(&entry(key, code))?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    fn path(&self, key: &str) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(format!("{:016x}.kernel", hash([key.as_bytes()]))))
    }
}

/// Where programs of this user keep what they can make again.
fn user_folder(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let absolute = |name| variable(name).filter(|path| path.is_absolute());
    let folder = if cfg!(windows) {
        absolute("LOCALAPPDATA")
    } else {
        absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))
    };
    folder.map(|folder| folder.join("graven"))
}

fn entry(key: &str, code: &[u8]) -> Vec<u8> {
    let numbers = [key.len() as u64, code.len() as u64, hash([key.as_bytes(), code])].map(u64::to_le_bytes);
    [MAGIC, numbers.as_flattened(), key.as_bytes(), code].concat()
}

/// The code of an entry; `None` if it is damaged or of another key.
fn parse(mut entry: Vec<u8>, key: &str) -> Option<Vec<u8>> {
    let (header, rest) = entry.split_at_checked(HEADER)?;
    let (magic, numbers) = header.split_at(MAGIC.len());
    let number = |index: usize| Some(u64::from_le_bytes(*numbers[8 * index..].first_chunk()?));
    let (stored, code) = rest.split_at_checked(usize::try_from(number(0)?).ok()?)?;
    let is_whole = magic == MAGIC && code.len() as u64 == number(1)? && hash([stored, code]) == number(2)?;
    (is_whole && stored == key.as_bytes()).then(|| entry.split_off(HEADER + key.len()))
}

/// FNV-1a. It names files and notices damage; it guards against nobody.
fn hash<const N: usize>(parts: [&[u8]; N]) -> u64 {
    let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    parts.into_iter().flatten().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The only entry of a folder.
    fn only_file(folder: &Path) -> PathBuf {
        let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    }

    #[test]
    fn what_is_kept_is_found_again_under_its_key_alone() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(&folder.path().join("made/when/needed"));
        assert_eq!(cache.get("key"), None);
        cache.put("key", b"code");
        cache.put("empty", b"");
        assert_eq!(cache.get("key").as_deref(), Some(&b"code"[..]));
        assert_eq!(cache.get("empty").as_deref(), Some(&b""[..]));
        assert_eq!(cache.get("kez"), None);
        // Were the hashes of two keys equal, the file would hold the other one.
        std::fs::rename(cache.path("key").unwrap(), cache.path("kez").unwrap()).unwrap();
        assert_eq!(cache.get("kez"), None);
    }

    #[test]
    fn a_damaged_entry_counts_as_none_and_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        cache.put("key", b"the code of a kernel");
        let path = only_file(folder.path());
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(cache.get("key"), None, "{length} bytes");
        }
        for index in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[index] ^= 1;
            std::fs::write(&path, damaged).unwrap();
            assert_eq!(cache.get("key"), None, "byte {index}");
        }
        std::fs::write(&path, [&whole[..], b"more"].concat()).unwrap();
        assert_eq!(cache.get("key"), None);
        cache.put("key", b"new");
        assert_eq!(cache.get("key").as_deref(), Some(&b"new"[..]));
        only_file(folder.path());
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_no_failure() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        // Nobody, the superuser included, can make a folder below a file, or write where the device is full.
        for folder in [file.join("below"), "/dev/full/graven".into()] {
            let cache = Cache::at(&folder);
            cache.write("key", b"code").unwrap_err();
            cache.put("key", b"code");
            assert_eq!(cache.get("key"), None);
        }
        let none = Cache { folder: None };
        none.put("key", b"code");
        assert_eq!(none.get("key"), None);
    }

    #[test]
    fn many_threads_with_caches_of_their_own_may_use_one_folder() {
        let folder = tempfile::tempdir().unwrap();
        let code = |key: usize| vec![key as u8; 100_000 + key];
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let cache = Cache::at(folder.path());
                scope.spawn(move || {
                    for round in 0..40 {
                        let key = (round + thread) % 4;
                        let found = cache.get(&key.to_string());
                        assert!(found.is_none_or(|found| found == code(key)));
                        cache.put(&key.to_string(), &code(key));
                    }
                });
            }
        });
        // Nothing is left of files that were being written.
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4);
    }

    #[test]
    fn the_folder_is_the_users_own() {
        let folder = |variables: &[(&str, &str)]| {
            user_folder(|name| {
                variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| PathBuf::from(value))
            })
        };
        if cfg!(unix) {
            assert_eq!(folder(&[("HOME", "/home/a")]), Some("/home/a/.cache/graven".into()));
            let both = [("HOME", "/home/a"), ("XDG_CACHE_HOME", "/cache")];
            assert_eq!(folder(&both), Some("/cache/graven".into()));
            assert_eq!(folder(&[("HOME", "/home/a"), ("XDG_CACHE_HOME", "relative")]), folder(&both[..1]));
            assert_eq!(folder(&[]), None);
        }
    }
}
