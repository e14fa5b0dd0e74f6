//! Whether what was found is what is required, and if not, precisely why.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{
    Format, Found, Made, Signature, Subject, Unreadable,
    key::{KeyId, PublicKey},
    requirement::{Requirement, Signer},
};
use crate::{spec::Digest, text};

/// A signature that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Whose.
    pub key: KeyId,
    /// Whose, in the operator's words.
    pub owner: Option<String>,
    /// How it is written.
    pub format: Format,
}

/// What is required and not there. Its words name keys, never more than a few lines of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Never empty, in the order of the declaration.
    pub unmet: Vec<Unmet>,
    /// Of the signatures that are enough for anyOf, how many there are and how many there must be; None: that is not what is unmet.
    pub any_of: Option<(usize, usize)>,
    /// The first thing that could not be read, and how many there were.
    unreadable: Option<(Unreadable, usize)>,
    passed_over: usize,
}

/// A signer whose signature does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    /// Such as `allOf[0]`.
    pub path: String,
    /// Whose signature.
    pub key: KeyId,
    /// Whose, in the operator's words.
    pub owner: Option<String>,
    /// Why not.
    pub why: Miss,
}

/// Why a signer's signature does not count. The later one is, the nearer it was.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Miss {
    /// Nobody signed.
    Unsigned,
    /// There are signatures, and this key made none of them. What the first says of itself, if it says anything.
    OtherKey(Option<String>),
    /// This key signed another digest.
    OtherDigest(Digest),
    /// This key signed, and said something else: the annotation, what was asked for, and what it says.
    Annotation(String, String, Option<String>),
    /// Its signature counts already, for another item with the same key.
    Taken,
}

impl Requirement {
    /// Which signatures count.
    ///
    /// Items of one list that have the same key need a signed statement each; allOf and anyOf are looked at one by one.
    ///
    /// # Errors
    /// Something is not there, and why.
    pub fn check(&self, digest: Digest, found: &Found) -> Result<Vec<Counted>, Refused> {
        let by = By::new(self, &found.signatures);
        let all_of = List::new("allOf", &self.all_of, digest, &by);
        let any_of = self.any_of.as_ref().map(|it| (it.least, List::new(ANY_OF, &it.of, digest, &by)));
        let enough = any_of.as_ref().is_none_or(|(least, list)| list.counted.len() >= *least);
        if all_of.unmet.is_empty() && enough {
            return Ok(all_of.counted.into_iter().chain(any_of.into_iter().flat_map(|(_, it)| it.counted)).collect());
        }
        let mut unmet = all_of.unmet;
        let mut counts = None;
        if let Some((least, list)) = any_of.filter(|_| !enough) {
            counts = Some((list.counted.len(), least));
            unmet.extend(list.unmet);
        }
        let unreadable = found.unreadable.clone().map(|it| (it, found.unreadables));
        Err(Refused { unmet, any_of: counts, unreadable, passed_over: found.passed_over })
    }
}

/// The signatures that each key made, every one verified once.
struct By<'f> {
    keys: BTreeMap<&'f PublicKey, Vec<&'f Signature>>,
    all: &'f [Signature],
}

impl<'f> By<'f> {
    fn new(requirement: &'f Requirement, all: &'f [Signature]) -> Self {
        let any_of = requirement.any_of.iter().flat_map(|it| &it.of);
        let keys: BTreeSet<&PublicKey> = requirement.all_of.iter().chain(any_of).map(|it| &it.key).collect();
        let made = |key: &PublicKey| all.iter().filter(|it| it.is_by(key)).collect();
        Self { keys: keys.into_iter().map(|key| (key, made(key))).collect(), all }
    }

    fn key(&self, key: &PublicKey) -> &[&'f Signature] {
        self.keys.get(key).map_or(&[], Vec::as_slice)
    }
}

/// What became of a list.
struct List {
    counted: Vec<Counted>,
    unmet: Vec<Unmet>,
}

impl List {
    fn new(name: &str, signers: &[Signer], digest: Digest, by: &By<'_>) -> Self {
        // What a key signed, not how: from one signature of ECDSA anybody can make a second.
        let mut statements: BTreeMap<(&PublicKey, &[u8]), usize> = BTreeMap::new();
        let mut wants: Vec<BTreeMap<usize, Format>> = Vec::new();
        for signer in signers {
            let mut wanted = BTreeMap::new();
            for signature in candidates(signer, digest, by) {
                let next = statements.len();
                let statement = *statements.entry((&signer.key, &signature.message)).or_insert(next);
                wanted.entry(statement).or_insert(signature.format);
            }
            wants.push(wanted);
        }
        let mut taken = BTreeMap::new();
        for at in 0..wants.len() {
            take(at, &mut BTreeSet::new(), &mut taken, &wants);
        }
        let given: BTreeMap<usize, usize> = taken.into_iter().map(|(statement, at)| (at, statement)).collect();
        let mut list = Self { counted: Vec::new(), unmet: Vec::new() };
        for (at, (signer, wanted)) in signers.iter().zip(&wants).enumerate() {
            let (key, owner) = (signer.key.id(), signer.owner.clone());
            match given.get(&at).and_then(|statement| wanted.get(statement)) {
                Some(format) => list.counted.push(Counted { key, owner, format: *format }),
                None => {
                    let why = if wanted.is_empty() { miss(signer, digest, by) } else { Miss::Taken };
                    list.unmet.push(Unmet { path: format!("{name}[{at}]"), key, owner, why });
                }
            }
        }
        list
    }
}

/// Gives `at` one of the statements that it wants, also by giving whoever has it another: as many as can have one get one. Recursion is
/// bounded, since no statement is tried twice.
fn take(
    at: usize,
    tried: &mut BTreeSet<usize>,
    taken: &mut BTreeMap<usize, usize>,
    wants: &[BTreeMap<usize, Format>],
) -> bool {
    for statement in wants.get(at).into_iter().flat_map(BTreeMap::keys) {
        if !tried.insert(*statement) {
            continue;
        }
        let owner = taken.get(statement).copied();
        if owner.is_none_or(|owner| take(owner, tried, taken, wants)) {
            taken.insert(*statement, at);
            return true;
        }
    }
    false
}

/// The signatures that would do for a signer.
fn candidates<'f>(signer: &Signer, digest: Digest, by: &By<'f>) -> Vec<&'f Signature> {
    let fits = |it: &&&Signature| subjects(it, digest).any(|it| missing(signer, it).is_none());
    by.key(&signer.key).iter().filter(fits).copied().collect()
}

fn subjects(signature: &Signature, digest: Digest) -> impl Iterator<Item = &Subject> {
    signature.subjects.iter().filter(move |it| it.digest == digest)
}

/// The first annotation that is not as asked for.
fn missing(signer: &Signer, subject: &Subject) -> Option<Miss> {
    let (name, wanted) = signer
        .annotations
        .iter()
        .find(|(name, wanted)| subject.annotations.get(*name).and_then(|it| it.as_str()) != Some(wanted.as_str()))?;
    let shown = |text: &str| text::shorten(&text::line(text), SHOWN);
    let given = subject.annotations.get(name).map(|it| shown(it.as_str().unwrap_or("something that is no text")));
    Some(Miss::Annotation(shown(name), shown(wanted), given))
}

/// Of a signer without candidates, the nearest miss.
fn miss(signer: &Signer, digest: Digest, by: &By<'_>) -> Miss {
    let made = by.key(&signer.key);
    let annotations = made.iter().flat_map(|it| subjects(it, digest)).find_map(|it| missing(signer, it));
    let other = || made.iter().flat_map(|it| &it.subjects).map(|it| Miss::OtherDigest(it.digest)).next();
    let first = || {
        by.all.first().map(|_| {
            Miss::OtherKey(by.all.iter().find_map(|it| match it.made {
                Made::Key(id) if by.keys.keys().all(|key| key.id() != id) => Some(format!("by a key {}", id.short())),
                Made::Certificate => Some("keyless".to_owned()),
                _ => None,
            }))
        })
    };
    annotations.or_else(other).or_else(first).unwrap_or(Miss::Unsigned)
}

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut any_of = self.any_of;
        for (at, unmet) in self.unmet.iter().take(LISTED).enumerate() {
            f.write_str(if at == 0 { "" } else { "; " })?;
            if let Some((counts, least)) = any_of.take_if(|_| unmet.path.starts_with(ANY_OF)) {
                write!(f, "anyOf wants {least} and has {counts}: ")?;
            }
            write!(f, "{unmet}")?;
        }
        if self.unmet.len() > LISTED {
            write!(f, "; and {} others", self.unmet.len() - LISTED)?;
        }
        if let Some((first, count)) = &self.unreadable {
            write!(f, "; {count} of what was found is no signature that counts, the first since {first}")?;
        }
        if self.passed_over > 0 {
            write!(f, "; {} more were not looked at", self.passed_over)?;
        }
        Ok(())
    }
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path)?;
        let key = match &self.owner {
            Some(owner) => format!("the key {} of {owner}", self.key.short()),
            None => format!("the key {}", self.key.short()),
        };
        match &self.why {
            Miss::Unsigned => write!(f, "there is no signature at all, and {key} must have signed"),
            Miss::OtherKey(None) => write!(f, "none of the signatures is by {key}"),
            Miss::OtherKey(Some(says)) => write!(f, "none of the signatures is by {key}; one says that it is {says}"),
            Miss::OtherDigest(digest) => write!(f, "{key} signed something else: sha256:{digest}"),
            Miss::Annotation(name, wanted, None) => {
                write!(f, "{key} signed without the annotation \"{name}\", which must be \"{wanted}\"")
            }
            Miss::Annotation(name, wanted, Some(given)) => {
                write!(f, "{key} signed with the annotation \"{name}\" as \"{given}\", which must be \"{wanted}\"")
            }
            Miss::Taken => write!(f, "{key} signed once, and that counts for another item with the same key"),
        }
    }
}

const ANY_OF: &str = "anyOf.signatures";
/// Signers that words name.
const LISTED: usize = 4;
/// Characters of a text that words repeat.
const SHOWN: usize = 64;
