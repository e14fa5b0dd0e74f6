//! What the Secret holds: entries become values that fit together, or are damaged as a whole.

use std::{collections::BTreeMap, fmt};

use k8s_openapi::ByteString;

use super::parts::{Authority, Leaf, MAX_ROOTS, Root, Wrong};

/// What is presented, and the CAs around it. At least one of the first two is there.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) current: Option<Current>,
    /// Is published; nothing that it signs is presented yet.
    pub(super) next: Option<Authority>,
    /// Of which replicas may still present a certificate.
    pub(super) previous: Vec<Root>,
}

/// What every replica presents.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Current {
    pub(super) authority: Authority,
    pub(super) leaf: Leaf,
}

/// What was found in the place of the Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// It was not looked for yet.
    Unknown,
    /// There is none.
    Missing,
    /// It cannot be used.
    Damaged {
        /// The entry, and what is wrong with it.
        why: (&'static str, &'static str),
        /// The CAs that can be read nevertheless.
        roots: Vec<Root>,
    },
    /// It can.
    Whole(Box<Stored>),
}

impl Content {
    /// Reads the entries of the Secret.
    pub(super) fn read(entries: &BTreeMap<String, ByteString>) -> Self {
        match Stored::read(entries) {
            Ok(stored) => Self::Whole(Box::new(stored)),
            Err((entry, Wrong(why))) => {
                let mut roots = Vec::new();
                for name in [CA, NEXT, PREVIOUS] {
                    add(&mut roots, &entries.get(name).map(|it| Root::readable(&it.0)).unwrap_or_default());
                }
                Self::Damaged { why: (entry, why), roots }
            }
        }
    }

    /// All CAs that can be read.
    pub(super) fn roots(&self) -> Vec<Root> {
        match self {
            Self::Unknown | Self::Missing => Vec::new(),
            Self::Damaged { roots, .. } => roots.clone(),
            Self::Whole(stored) => stored.roots(),
        }
    }
}

impl Stored {
    /// `previous`: without those that are the others', without doubles, and not too many.
    pub(super) fn new(current: Option<Current>, next: Option<Authority>, previous: &[Root]) -> Self {
        let mut stored = Self { current, next, previous: Vec::new() };
        let others = stored.roots();
        add(&mut stored.previous, previous);
        stored.previous.retain(|it| !others.contains(it));
        stored.previous.truncate(MAX_ROOTS - 2);
        stored
    }

    fn read(entries: &BTreeMap<String, ByteString>) -> Result<Self, (&'static str, Wrong)> {
        let entry = |name| entries.get(name).map(|it| it.0.as_slice());
        let current = match (entry(CA), entry(CA_KEY), entry(SERVER), entry(SERVER_KEY)) {
            (None, None, None, None) => None,
            (Some(ca), Some(ca_key), Some(server), Some(server_key)) => {
                let authority = Authority::read(ca, ca_key).map_err(|wrong| (CA, wrong))?;
                let leaf = Leaf::read(server, server_key, &authority.root).map_err(|wrong| (SERVER, wrong))?;
                Some(Current { authority, leaf })
            }
            _ => return Err((CA, INCOMPLETE)),
        };
        let next = match (entry(NEXT), entry(NEXT_KEY)) {
            (None, None) => None,
            (Some(next), Some(key)) => Some(Authority::read(next, key).map_err(|wrong| (NEXT, wrong))?),
            _ => return Err((NEXT, INCOMPLETE)),
        };
        if current.is_none() && next.is_none() {
            return Err((CA, INCOMPLETE));
        }
        let previous = entry(PREVIOUS).map(Root::all).transpose().map_err(|wrong| (PREVIOUS, wrong))?;
        Ok(Self::new(current, next, &previous.unwrap_or_default()))
    }

    /// For the Secret. An entry of [`ENTRIES`] that is not there is to be removed from it.
    pub(super) fn entries(&self) -> BTreeMap<String, ByteString> {
        let mut entries = BTreeMap::new();
        let mut set = |name: &str, text: &str| entries.insert(name.to_owned(), ByteString(text.as_bytes().to_vec()));
        if let Some(Current { authority, leaf }) = &self.current {
            set(CA, &authority.root.pem());
            set(CA_KEY, &authority.key);
            set(SERVER, &leaf.pair.certificate);
            set(SERVER_KEY, &leaf.pair.key);
        }
        if let Some(next) = &self.next {
            set(NEXT, &next.root.pem());
            set(NEXT_KEY, &next.key);
        }
        if !self.previous.is_empty() {
            set(PREVIOUS, &self.previous.iter().map(Root::pem).collect::<String>());
        }
        entries
    }

    /// All CAs.
    pub(super) fn roots(&self) -> Vec<Root> {
        let own = self.current.iter().map(|it| &it.authority).chain(&self.next).map(|it| &it.root);
        own.chain(&self.previous).cloned().collect()
    }

    /// All CAs as PEM; the same text whatever each of them is to the others.
    pub(super) fn bundle(&self) -> String {
        let mut all: Vec<String> = self.roots().iter().map(Root::pem).collect();
        all.sort_unstable();
        all.concat()
    }

    /// Whether steps of ours may have led from `before` to this: each keeps the CA that was presented before it.
    pub(super) fn follows(&self, before: &Current) -> bool {
        self.roots().contains(&before.authority.root)
    }
}

/// CAs only: no keys.
impl fmt::Debug for Stored {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { current, next, previous } = self;
        let (current, next) = (current.as_ref().map(|it| &it.authority.root), next.as_ref().map(|it| &it.root));
        write!(formatter, "current {current:?}, next {next:?}, previous {previous:?}")
    }
}

/// Each once.
pub(super) fn add(roots: &mut Vec<Root>, others: &[Root]) {
    for root in others {
        if !roots.contains(root) {
            roots.push(root.clone());
        }
    }
}

/// What this module writes in the Secret.
pub(super) const ENTRIES: [&str; 7] = [CA, CA_KEY, SERVER, SERVER_KEY, NEXT, NEXT_KEY, PREVIOUS];

const CA: &str = "ca.crt";
const CA_KEY: &str = "ca.key";
const SERVER: &str = "tls.crt";
const SERVER_KEY: &str = "tls.key";
const NEXT: &str = "next.crt";
const NEXT_KEY: &str = "next.key";
const PREVIOUS: &str = "previous.crt";
const INCOMPLETE: Wrong = Wrong("lacks an entry that belongs to it");
