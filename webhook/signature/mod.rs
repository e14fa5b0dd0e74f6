//! Signatures of components by key, in both formats of cosign: made, wrapped as OCI artifacts, read, and compared with what is required.
//!
//! Pure: bytes in, values out. Knows no registry, no policy, no file and no clock. What is read is hostile: everything is bounded, and
//! nothing counts that a key did not sign. The shapes, while the room is being built:
//!
//! ```text
//! key::PublicKey::from_pem(&str) -> Result<PublicKey, KeyError>       .id() -> KeyId (SHA-256 of the SPKI)   .pem() -> String
//! key::PrivateKey::from_pem(&str) -> Result<PrivateKey, KeyError>     .public() -> PublicKey
//! key::KeyPair::generate() -> Result<KeyPair { private, public }, _>  both PEM; never Debug
//!
//! Claim { digest: spec::Digest, annotations: BTreeMap<String, String> }
//! simple::sign(&PrivateKey, &Claim, repository: &str) -> Result<Simple { payload, signature }, _>
//! bundle::sign(&PrivateKey, &Claim) -> Result<Vec<u8>, _>             the bundle's JSON
//!
//! artifact::tag_of(Digest) -> String                                  sha256-<hex>.sig
//! artifact::tagged(&[Simple], before: Option<(manifest, config)>) -> Result<Artifact, Unreadable>
//! artifact::referrer(subject: &Descriptor { media_type, digest, size }, bundle: Vec<u8>) -> Artifact
//! Artifact { manifest, blobs: Vec<Blob { media_type, digest, bytes }>, .. }   what to push, blobs first
//! artifact::layers(manifest: &[u8]) -> Result<Vec<Layer { digest, size, .. }>, Unreadable>   which blobs to fetch; empty: no signature
//! Layer::read(&self, blob: &[u8]) -> Result<Signature, Unreadable>
//!
//! Found::default(), found.add(Result<Signature, Unreadable>)          at most 64 count
//! requirement::Requirement::read(&spec::declared::Verification) -> Result<Requirement, Vec<Wrong { path, message }>>
//! requirement::Requirement::by(Vec<PublicKey>, annotations) -> Requirement      for `verdict verify --key`
//! Requirement::check(&self, Digest, &Found) -> Result<Vec<Counted { key, owner, .. }>, Refused>   Refused: Display says precisely why
//! ```
