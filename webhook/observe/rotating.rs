//! A file that is replaced by a new one when it is large: `FILE` becomes `FILE.1`, that `FILE.2`, and so on. Only its owner may read it.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::journal::Sink;

/// A file of lines.
pub struct Rotating {
    path: PathBuf,
    /// Bytes after which a new one is begun.
    max: u64,
    /// How many old ones are kept.
    keep: u32,
    file: File,
    /// A device or a pipe is never replaced.
    is_file: bool,
    /// Of what is whole.
    length: u64,
    /// When it was last looked at whether somebody moved it.
    looked: Instant,
}

impl Rotating {
    /// Opens it, to write after what is there.
    ///
    /// # Errors
    /// It cannot be written, or not made private.
    pub fn open(path: &Path, max: u64, keep: u32) -> io::Result<Self> {
        let (file, is_file, length) = open(path)?;
        Ok(Self { path: path.to_owned(), max: max.max(1), keep, file, is_file, length, looked: Instant::now() })
    }

    /// `FILE.at`; FILE itself for 0.
    fn old(&self, at: u32) -> PathBuf {
        if at == 0 {
            return self.path.clone();
        }
        let mut name = OsString::from(&self.path);
        name.push(format!(".{at}"));
        PathBuf::from(name)
    }

    fn rotate(&mut self) -> io::Result<()> {
        if self.keep == 0 {
            fs::remove_file(&self.path)?;
        }
        for at in (0..self.keep).rev() {
            match fs::rename(self.old(at), self.old(at + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.again()
    }

    fn again(&mut self) -> io::Result<()> {
        (self.file, self.is_file, self.length) = open(&self.path)?;
        Ok(())
    }

    /// Somebody else may rotate it, too.
    fn follow(&mut self) -> io::Result<()> {
        if self.looked.elapsed() < LOOK_EVERY {
            return Ok(());
        }
        self.looked = Instant::now();
        let own = self.file.metadata()?;
        let is_same = fs::metadata(&self.path).is_ok_and(|it| (it.dev(), it.ino()) == (own.dev(), own.ino()));
        if is_same { Ok(()) } else { self.again() }
    }
}

impl Sink for Rotating {
    fn write(&mut self, line: &str) -> io::Result<()> {
        if self.is_file {
            self.follow()?;
            if self.length > 0 && self.length + line.len() as u64 > self.max {
                self.rotate()?;
            }
        }
        let written = self.file.write_all(line.as_bytes());
        match &written {
            Ok(()) => self.length += line.len() as u64,
            // A part of a line would spoil the next one.
            Err(_) if self.is_file => drop(self.file.set_len(self.length)),
            Err(_) => {}
        }
        written
    }
}

fn open(path: &Path) -> io::Result<(File, bool, u64)> {
    let file = OpenOptions::new().append(true).create(true).mode(PRIVATE).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.permissions().mode() & 0o777 != PRIVATE {
        file.set_permissions(Permissions::from_mode(PRIVATE))?;
    }
    Ok((file, metadata.is_file(), metadata.len()))
}

const PRIVATE: u32 = 0o600;
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_files_are_replaced_and_only_so_many_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("decisions.log");
        fs::write(&path, "before\n").unwrap();
        let mut file = Rotating::open(&path, 20, 2).unwrap();
        for at in 0..8 {
            file.write(&format!("line {at:04}\n")).unwrap();
        }
        let names = || {
            let names = fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<String> = names.collect();
            names.sort();
            names
        };
        assert_eq!(names(), ["decisions.log", "decisions.log.1", "decisions.log.2"]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "line 0007\n");
        assert_eq!(fs::read_to_string(folder.path().join("decisions.log.1")).unwrap(), "line 0005\nline 0006\n");
        for name in names() {
            let mode = fs::metadata(folder.path().join(&name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, PRIVATE, "{name}");
        }
    }

    #[test]
    fn what_others_moved_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("decisions.log");
        let mut file = Rotating::open(&path, 1 << 20, 0).unwrap();
        file.write("one\n").unwrap();
        fs::rename(&path, folder.path().join("moved")).unwrap();
        file.looked -= LOOK_EVERY;
        file.write("two\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
        assert_eq!(fs::read_to_string(folder.path().join("moved")).unwrap(), "one\n");
    }

    #[test]
    fn a_full_disk_leaves_whole_lines() {
        // It takes nothing, as a full disk does.
        let mut file = Rotating::open(Path::new("/dev/full"), 1 << 20, 0).unwrap();
        assert_eq!(file.write("one\n").unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
