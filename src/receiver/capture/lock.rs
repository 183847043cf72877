//! One receiver a directory: a lock that the operating system takes back when its holder dies, however it dies.
//!
//! Not a file with a process id: in containers every receiver is process 1, and after `kill -9` such a file stays.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Begins with a dot, so that inputs that are directories pass it over.
const NAME: &str = ".spandiff-capture.lock";

/// Held as long as it lives.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

/// Closing the file is not enough at once: a process that is being started has a copy of the handle until it runs.
impl Drop for Lock {
    fn drop(&mut self) {
        #[cfg(unix)]
        let _ = rustix::fs::flock(&self.file, rustix::fs::FlockOperation::Unlock);
        #[cfg(not(unix))]
        let _ = &self.file;
    }
}

impl Lock {
    /// Takes the directory.
    ///
    /// # Errors
    /// [`io::ErrorKind::ResourceBusy`] when another receiver has it.
    pub fn take(directory: &Path) -> io::Result<Lock> {
        let path = directory.join(NAME);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(windows)]
        std::os::windows::fs::OpenOptionsExt::share_mode(&mut options, 0);
        let file = options.open(path)?;
        #[cfg(unix)]
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(io::Error::new(
                    io::ErrorKind::ResourceBusy,
                    format!("another receiver writes its capture to {}", directory.display()),
                ));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(Lock { file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_holder_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let lock = Lock::take(directory.path()).unwrap();
        let error = Lock::take(directory.path()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
        assert!(error.to_string().contains("another receiver"));
        // A copy of the handle, as a process that is being started has it.
        let copy = lock.file.try_clone().unwrap();
        drop(lock);
        Lock::take(directory.path()).unwrap();
        drop(copy);
    }
}
