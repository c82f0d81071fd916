//! Encryption: the same keys with the same meaning for every broker that has it.

use std::fs;
use std::path::{Path, PathBuf};

use longshore_core::BrokerError;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the connection is encrypted, and who is trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Tls {
    /// Whether TLS is spoken, where the url does not say so. A server without it is refused.
    pub enabled: bool,
    /// File with the certificates that are trusted in place of the system's, PEM; relative to the configuration file.
    pub ca: Option<PathBuf>,
    /// File with our certificate, PEM, where the server wants one; with `key`.
    pub cert: Option<PathBuf>,
    /// File with the key of `cert`, PEM, without a password.
    pub key: Option<PathBuf>,
}

/// The files that the keys name, read.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// Who is trusted; the system's authorities where it is none.
    pub(crate) ca: Option<File>,
    /// Certificate and key by which we say who we are.
    pub(crate) identity: Option<(File, File)>,
}

/// One of them.
#[derive(Debug)]
#[allow(dead_code, reason = "some clients want the path, some what is in it")]
pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
}

impl Tls {
    /// Reads the files, whose paths start at `folder`, and looks whether there is in them what is to be there.
    pub(crate) fn files(&self, folder: &Path) -> Result<Files, BrokerError> {
        let ca = self.ca.as_ref().map(|file| read("ca", folder, file, certificates)).transpose()?;
        let identity = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => Some((read("cert", folder, cert, certificates)?, read("key", folder, key, private_key)?)),
            (None, None) => None,
            (None, Some(_)) => return Err(BrokerError::give_up("tls.key is set without tls.cert: they belong together, set both or none")),
            (Some(_), None) => return Err(BrokerError::give_up("tls.cert is set without tls.key: they belong together, set both or none")),
        };
        Ok(Files { ca, identity })
    }

    /// Refuses files that nothing will ever be done with: no TLS is spoken. `otherwise` is what else turns it on.
    pub(crate) fn refuse_idle(&self, spoken: bool, otherwise: &str) -> Result<(), BrokerError> {
        let keys = [("ca", &self.ca), ("cert", &self.cert), ("key", &self.key)];
        match keys.into_iter().find(|(_, file)| !spoken && file.is_some()) {
            Some((key, _)) => {
                Err(BrokerError::give_up(format!("tls.{key} is set, and no TLS is spoken: set tls.enabled = true, or {otherwise}")))
            }
            None => Ok(()),
        }
    }
}

fn read(key: &str, folder: &Path, file: &Path, holds: fn(&[u8]) -> Result<(), &'static str>) -> Result<File, BrokerError> {
    let path = folder.join(file);
    let bytes = fs::read(&path).map_err(|e| BrokerError::give_up(format!("tls.{key}: {} cannot be read: {e}", path.display())))?;
    holds(&bytes).map_err(|what| BrokerError::give_up(format!("tls.{key}: {} has no {what} in the form of PEM", path.display())))?;
    Ok(File { path, bytes })
}

fn certificates(pem: &[u8]) -> Result<(), &'static str> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    if found.is_ok_and(|certificates| !certificates.is_empty()) { Ok(()) } else { Err("certificate") }
}

fn private_key(pem: &[u8]) -> Result<(), &'static str> {
    PrivateKeyDer::from_pem_slice(pem).map(drop).map_err(|_| "private key without a password")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_what_it_is_to_be_is_named_with_its_key() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("text.pem"), "nothing").expect("a writable folder");
        let authority = longshore_testkit::servers::tls::Authority::new();
        let client = authority.client("c");
        let file = |path: &Path| Some(path.to_owned());
        let check = |tls: Tls, words: &[&str]| {
            let error = tls.files(folder.path()).expect_err("it is refused");
            assert!(words.iter().all(|word| error.what.contains(word)), "{error}");
        };
        check(Tls { ca: file(Path::new("nowhere.pem")), ..Tls::default() }, &["tls.ca", "nowhere.pem", "cannot be read"]);
        check(Tls { ca: file(Path::new("text.pem")), ..Tls::default() }, &["tls.ca", "text.pem", "no certificate"]);
        check(Tls { ca: file(&client.key), ..Tls::default() }, &["tls.ca", "no certificate"]);
        check(Tls { key: file(&client.key), ..Tls::default() }, &["tls.key", "without tls.cert"]);
        check(Tls { cert: file(&client.certificate), ..Tls::default() }, &["tls.cert", "without tls.key"]);
        let swapped = Tls { cert: file(&client.certificate), key: file(&client.certificate), ..Tls::default() };
        check(swapped, &["tls.key", "no private key"]);
        let good = Tls { ca: file(authority.certificate()), cert: file(&client.certificate), key: file(&client.key), enabled: true };
        let files = good.files(folder.path()).expect("good files");
        assert!(files.ca.is_some() && files.identity.is_some());
    }
}
