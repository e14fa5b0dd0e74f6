//! Who must have signed: read once from what is declared, so that everything in it counts.

use std::collections::{BTreeMap, BTreeSet};

use super::key::PublicKey;
use crate::{
    spec::declared::{Signer as Declared, SignerKind, Verification},
    text,
};

/// Who must have signed. Never empty: something is always asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Requirement {
    pub(super) all_of: Vec<Signer>,
    pub(super) any_of: Option<AnyOf>,
}

/// So many of these.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct AnyOf {
    pub(super) least: usize,
    pub(super) of: Vec<Signer>,
}

/// A key, and what its owner must have said.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Signer {
    pub(super) key: PublicKey,
    /// Cleaned, for people.
    pub(super) owner: Option<String>,
    pub(super) annotations: BTreeMap<String, String>,
}

/// One thing that is wrong with what is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Below the declaration, such as `allOf[0].key`; empty: all of it.
    pub path: String,
    /// What is wrong with it; holds nothing of a key.
    pub message: String,
}

impl Requirement {
    /// What is declared, or everything that is wrong with it. Does not rely on any schema.
    ///
    /// # Errors
    /// Never empty.
    pub fn read(declared: Verification) -> Result<Self, Vec<Wrong>> {
        let mut wrong = Vec::new();
        if declared.all_of.is_empty() && declared.any_of.is_none() {
            wrong.push(Wrong::new("", "expected allOf, anyOf or both: without a signer everything would be accepted"));
        }
        let all_of = signers("allOf", declared.all_of, &mut wrong);
        let any_of = declared.any_of.map(|any_of| {
            let least = usize::try_from(any_of.minimum_matches).unwrap_or(usize::MAX);
            if least == 0 {
                wrong.push(Wrong::new(
                    "anyOf.minimumMatches",
                    "expected at least 1: with 0 everything would be accepted",
                ));
            } else if least > any_of.signatures.len() {
                let words = "is larger than the number of signatures, so that nothing could ever be loaded";
                wrong.push(Wrong::new("anyOf.minimumMatches", words));
            }
            AnyOf { least, of: signers("anyOf.signatures", any_of.signatures, &mut wrong) }
        });
        if wrong.is_empty() { Ok(Self { all_of, any_of }) } else { Err(wrong) }
    }

    /// That each of these keys signed, and said this. None: no key, which would require nothing.
    pub fn by(keys: Vec<PublicKey>, annotations: &BTreeMap<String, String>) -> Option<Self> {
        // A key that is named twice is one key.
        let keys: BTreeSet<PublicKey> = keys.into_iter().collect();
        let signer = |key| Signer { key, owner: None, annotations: annotations.clone() };
        let all_of: Vec<Signer> = keys.into_iter().map(signer).collect();
        (!all_of.is_empty()).then_some(Self { all_of, any_of: None })
    }
}

impl Wrong {
    fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

/// Those that are right.
fn signers(list: &str, declared: Vec<Declared>, wrong: &mut Vec<Wrong>) -> Vec<Signer> {
    if declared.len() > MOST {
        wrong.push(Wrong::new(list, format!("expected at most {MOST} items; got {}", declared.len())));
        return Vec::new();
    }
    let mut signers: Vec<Signer> = Vec::new();
    for (at, declared) in declared.into_iter().enumerate() {
        let path = format!("{list}[{at}]");
        let Some(signer) = signer(&path, declared, wrong) else { continue };
        if signers.iter().any(|it| (&it.key, &it.annotations) == (&signer.key, &signer.annotations)) {
            let words = "the same key with the same annotations is listed above: a signature counts once";
            wrong.push(Wrong::new(path, words));
        } else {
            signers.push(signer);
        }
    }
    signers
}

/// None only after an error was reported.
fn signer(path: &str, declared: Declared, wrong: &mut Vec<Wrong>) -> Option<Signer> {
    if let SignerKind::GenericIssuer | SignerKind::GithubAction = declared.kind {
        let words = "keyless signatures (genericIssuer, githubAction) need Sigstore's services and are not verified: use kind pubKey and \
                     sign with a key";
        wrong.push(Wrong::new(format!("{path}.kind"), words));
        return None;
    }
    for (field, given) in [
        ("issuer", declared.issuer.is_some()),
        ("subject", declared.subject.is_some()),
        ("repo", declared.repo.is_some()),
    ] {
        if given {
            wrong.push(Wrong::new(format!("{path}.{field}"), "means nothing for kind pubKey: leave it out"));
        }
    }
    let annotations = declared.annotations.unwrap_or_default();
    let fits = |(name, value): (&String, &String)| (1..=256).contains(&name.len()) && value.len() <= 4096;
    if annotations.len() > MOST || !annotations.iter().all(fits) {
        let words = format!("expected at most {MOST} annotations, with names of 256 bytes and values of 4096 at most");
        wrong.push(Wrong::new(format!("{path}.annotations"), words));
    }
    let Some(key) = declared.key else {
        wrong.push(Wrong::new(format!("{path}.key"), "is required: kind pubKey needs a key"));
        return None;
    };
    match PublicKey::from_pem(&key) {
        Ok(key) => {
            let owner = declared.owner.map(|it| text::shorten(&text::line(&it), 64));
            Some(Signer { key, owner: owner.filter(|it| !it.is_empty()), annotations })
        }
        Err(error) => {
            wrong.push(Wrong::new(format!("{path}.key"), error.to_string()));
            None
        }
    }
}

/// Signers of one list, and annotations of one signer: each key is compared with each signature that was found.
pub(super) const MOST: usize = 32;
