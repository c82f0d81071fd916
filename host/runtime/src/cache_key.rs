//! The secret by which this user's hosts know the machine code that they compiled.
//!
//! A file that is consistent in itself proves nothing: whoever can unpack an archive into a folder can make one. A MAC under a random key
//! that never leaves the cache folder proves that a host of this user wrote it.

use std::io;
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::private;

/// Name of the key's file in the cache folder.
const FILE: &str = "key";
/// Bytes of a key: as many as the MAC has.
const LENGTH: usize = 32;

pub(crate) struct Key([u8; LENGTH]);

impl Key {
    /// The key of `folder`, made when there is none yet. An error when it could be anybody else's.
    pub(crate) fn of(folder: &Path) -> io::Result<Self> {
        let file = folder.join(FILE);
        let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", file.display()));
        let found = match private::read(&file) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => make(folder).and_then(|()| private::read(&file)),
            found => found,
        };
        let key = found.map_err(named)?.try_into().map_err(|_| named(io::Error::other("it is no key: remove it")))?;
        Ok(Key(key))
    }

    /// The MAC, in hexadecimal, of `content` in the place that `name` says: a file that was moved is not believed.
    pub(crate) fn mac(&self, name: &str, content: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of HMAC has any length");
        mac.update(&(name.len() as u64).to_le_bytes());
        mac.update(name.as_bytes());
        mac.update(content);
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Makes the key. Of two hosts that do so at once, one wins and both use its key: a link never replaces a file, and is there as a whole.
fn make(folder: &Path) -> io::Result<()> {
    let mut key = [0; LENGTH];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    let temporary = folder.join(format!("{}-{FILE}.tmp", std::process::id()));
    let made = private::write_new(&temporary, &key).and_then(|()| std::fs::hard_link(&temporary, folder.join(FILE)));
    let _ = std::fs::remove_file(&temporary);
    match made {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_for_this_user_alone_and_no_other_is_taken() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let mac = || Key::of(folder.path()).map(|key| key.mac("here", b"code"));
        let first = mac().expect("made");
        assert_eq!(mac().expect("read"), first);
        let file = folder.path().join(FILE);
        assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("set");
        assert!(mac().expect_err("others can read it").to_string().contains("0600"));
        fs::remove_file(&file).expect("removed");
        assert_ne!(mac().expect("made anew"), first, "it is random");
        fs::write(&file, b"short").expect("written");
        assert!(mac().expect_err("no key").to_string().contains("no key"));
        assert_eq!(fs::read_dir(folder.path()).expect("there").count(), 1, "nothing is left half-written");
    }

    #[test]
    fn place_and_content_both_count() {
        let key = Key([7; LENGTH]);
        let macs = [("a", "bc"), ("ab", "c"), ("a", "bd"), ("b", "bc")].map(|(name, content)| key.mac(name, content.as_bytes()));
        assert!((0..4).all(|i| (0..i).all(|j| macs[i] != macs[j])), "{macs:?}");
        assert_ne!(Key([8; LENGTH]).mac("a", b"bc"), macs[0]);
    }
}
