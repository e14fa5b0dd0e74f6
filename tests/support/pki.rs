//! Certificates made for one test run: an authority, and identities that it signed. Files on disk, since that is what the flags take.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

/// A certificate authority with its folder.
pub struct Pki {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    /// The authority's certificate.
    pub ca: PathBuf,
    pub ca_pem: String,
    /// By the names of their files. Each is made once: when kube-apiserver finds another client certificate in its file, it closes all
    /// its connections to webhooks, with the reviews that are on them.
    made: Mutex<BTreeMap<String, Identity>>,
}

/// A certificate and its key.
#[derive(Debug, Clone)]
pub struct Identity {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Pki {
    /// The same, whose clients trust another authority.
    pub fn trusting(self, ca_pem: String) -> Self {
        Self { ca_pem, ..self }
    }

    pub fn new(folder: &Path) -> Self {
        fs::create_dir_all(folder).expect("a folder for certificates");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "verdict-tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let ca_pem = params.self_signed(&key).expect("a certificate").pem();
        let ca = folder.join("ca.crt");
        fs::write(&ca, &ca_pem).expect("a writable folder");
        Self { folder: folder.to_owned(), issuer: Issuer::new(params, key), ca, ca_pem, made: Mutex::default() }
    }

    /// Another certificate for the same server, in the same files.
    pub fn renew_server(&self, name: &str, further: &[&str]) {
        self.made.lock().expect("no panic while one is made").remove(&file(name));
        self.server(name, further);
    }

    /// Another certificate for the same client, in the same files.
    pub fn renew_client(&self, name: &str) {
        self.made.lock().expect("no panic while one is made").remove(&file(name));
        self.client(name, &[]);
    }

    /// A server on loopback, under these further names.
    pub fn server(&self, name: &str, further: &[&str]) -> Identity {
        let names = ["localhost", "127.0.0.1", "::1"].iter().chain(further);
        let names: Vec<String> = names.map(ToString::to_string).collect();
        let params = CertificateParams::new(names).expect("valid names");
        self.sign(name, &[], params, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A client. To kube-apiserver `name` is the user, `groups` are its groups.
    pub fn client(&self, name: &str, groups: &[&str]) -> Identity {
        let usage = ExtendedKeyUsagePurpose::ClientAuth;
        self.sign(name, groups, CertificateParams::default(), usage)
    }

    /// Another certificate of a server on loopback in place of this one, for the same key, that is good for so many days.
    pub fn renew(&self, identity: &Identity, days: i64) {
        let key = fs::read_to_string(&identity.key).expect("a file");
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
        let mut params = CertificateParams::new(names).expect("valid names");
        params.not_after = time::OffsetDateTime::now_utc() + time::Duration::days(days);
        let key = KeyPair::from_pem(&key).expect("a key");
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate");
        fs::write(&identity.cert, cert.pem()).expect("a writable folder");
    }

    /// A key pair with no certificate, as kube-apiserver signs service account tokens with. Both halves are PEM.
    pub fn signing_key(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().expect("a key");
        let files = (self.folder.join(format!("{name}.key")), self.folder.join(format!("{name}.pub")));
        fs::write(&files.0, key.serialize_pem()).expect("a writable folder");
        fs::write(&files.1, key.public_key_pem()).expect("a writable folder");
        files
    }

    fn sign(
        &self,
        name: &str,
        organizations: &[&str],
        mut params: CertificateParams,
        usage: ExtendedKeyUsagePurpose,
    ) -> Identity {
        let file = file(name);
        let mut made = self.made.lock().expect("no panic while one is made");
        if let Some(identity) = made.get(&file) {
            return identity.clone();
        }
        params.distinguished_name.push(DnType::CommonName, name);
        for organization in organizations {
            params.distinguished_name.push(DnType::OrganizationName, *organization);
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate");
        let identity =
            Identity { cert: self.folder.join(format!("{file}.crt")), key: self.folder.join(format!("{file}.key")) };
        fs::write(&identity.cert, cert.pem()).expect("a writable folder");
        fs::write(&identity.key, key.serialize_pem()).expect("a writable folder");
        made.insert(file, identity.clone());
        identity
    }
}

fn file(name: &str) -> String {
    name.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}
