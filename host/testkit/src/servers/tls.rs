//! Throw-away certificates: an authority that nobody trusts but the test, and what it issues, as PEM files.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    date_time_ymd,
};

use super::keeper::Keeper;
use super::unique;

/// Names that a server on the loopback goes by.
const LOOPBACK: [&str; 2] = ["localhost", "127.0.0.1"];

/// A certificate authority of this test. Its files go when it is dropped, or with the test process.
#[derive(Debug)]
pub struct Authority {
    folder: Keeper,
    certificate: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its private key, as PEM files.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate alone: its authority has no other above it.
    pub certificate: PathBuf,
    /// The key, PKCS#8, without a password.
    pub key: PathBuf,
}

impl Authority {
    /// A new one. Any two distrust each other's certificates.
    ///
    /// # Panics
    /// When its files cannot be written.
    pub fn new() -> Authority {
        let folder = Keeper::new("tls").expect("a folder and a shell");
        let certificate = folder.folder().join("ca.pem");
        let mut params = named("an authority for tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = new_key();
        let signed = params.self_signed(&key).expect("an authority can sign itself");
        write(&certificate, &signed.pem());
        Authority { folder, certificate, issuer: Issuer::new(params, key) }
    }

    /// Its own certificate: what a client must trust.
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// For a server on `localhost` or `127.0.0.1`.
    pub fn server(&self) -> Identity {
        self.server_named(&LOOPBACK)
    }

    /// For a server with these names and addresses, as `["elsewhere.test"]`: valid, and not for the loopback.
    ///
    /// # Panics
    /// When a name is none.
    pub fn server_named(&self, names: &[&str]) -> Identity {
        let mut params = named("a server for tests");
        params.subject_alt_names =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).expect("names").subject_alt_names;
        self.issue(params, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// For a client with the common name `name`.
    pub fn client(&self, name: &str) -> Identity {
        self.issue(named(name), ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn issue(&self, mut params: CertificateParams, purpose: ExtendedKeyUsagePurpose) -> Identity {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        let key = new_key();
        let certificate = params.signed_by(&key, &self.issuer).expect("an authority can sign");
        let file = self.folder.folder().join(unique("certificate"));
        let identity = Identity { certificate: file.with_extension("pem"), key: file.with_extension("key") };
        write(&identity.certificate, &certificate.pem());
        write(&identity.key, &key.serialize_pem());
        identity
    }
}

impl Default for Authority {
    fn default() -> Authority {
        Authority::new()
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
    // Dates before 2050 are written in a form that every server's library reads.
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2049, 1, 1));
    params
}

fn new_key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("the system has randomness")
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
}
