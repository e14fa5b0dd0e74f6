//! What is registered: objects that came by requests, with the components that came with them.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};

use bytes::Bytes;

use super::{Declared, Digest, Now, orders::Refused, store::Store};
use crate::{
    config, loader,
    spec::{Given, Kind, Location, PolicySpec},
};

/// An object, by what no two of one kind have in common.
pub type Key = (Kind, String);

/// What is registered.
pub type Registered = BTreeMap<Key, Arc<Entry>>;

/// A registered object.
pub struct Entry {
    /// As it is to be.
    pub spec: PolicySpec,
    /// As it came, YAML or JSON; or why that cannot be known any more.
    pub text: Result<String, String>,
}

pub(super) fn key_of(spec: &PolicySpec) -> Option<Key> {
    Some((spec.kind?, spec.name.clone()))
}

pub(super) fn of_registered(registered: &Registered, now: impl Fn(&Key) -> Now) -> impl Iterator<Item = Declared> {
    registered.iter().map(move |(key, entry)| {
        let now = match &entry.text {
            Ok(_) => now(key),
            Err(why) => Now::Unreadable(why.clone()),
        };
        Declared { spec: entry.spec.clone(), now, fallback: None }
    })
}

/// What was registered before; what cannot be read any more fails, since nobody knows what it would have allowed.
/// `fetches`: whether requests may name what has to be fetched.
pub(super) fn restored(store: &Store, kinds: &[Kind], fetches: bool) -> io::Result<Registered> {
    let mut all = Registered::new();
    for found in store.entries()? {
        let (kind, name) = &found.key;
        let parsed = found.text.and_then(|text| {
            if !kinds.contains(kind) {
                return Err(format!("{kind} is none of --admin-kinds"));
            }
            let known = |digest| {
                all.values().flat_map(|it: &Arc<Entry>| given(&it.spec)).find(|it| it.digest() == digest).cloned()
            };
            let find = |digest| known(digest).or_else(|| store.component(digest));
            let spec = config::registered(&text, &find, fetches)
                .map_err(|wrong| wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
            if (spec.kind, &spec.name) != (Some(*kind), name) {
                return Err(format!("its entry holds {}", spec.title()));
            }
            Ok((spec, text))
        });
        let entry = match parsed {
            Ok((spec, text)) => Entry { spec, text: Ok(text) },
            Err(why) => Entry { spec: PolicySpec::unknown(*kind, name), text: Err(why) },
        };
        all.insert(found.key, Arc::new(entry));
    }
    Ok(all)
}

pub(super) fn given(spec: &PolicySpec) -> impl Iterator<Item = &Given> {
    let all = std::iter::once(spec).chain(spec.members()).filter_map(PolicySpec::component);
    all.filter_map(|it| match &it.location {
        Location::Given(given) => Some(given),
        Location::File(_) | Location::Builtin(_) | Location::Image(_) | Location::Url(_) => None,
    })
}

pub(super) fn used(registered: &Registered) -> BTreeSet<Digest> {
    registered.values().flat_map(|it| given(&it.spec)).map(Given::digest).collect()
}

/// Nobody knows which components an entry needs that cannot be read: then all of them stay.
pub(super) fn sweep(store: &Store, registered: &Registered) {
    if registered.values().all(|it| it.text.is_ok()) {
        store.sweep(&used(registered));
    }
}

pub(super) fn has_room(registered: &Registered) -> Result<(), Refused> {
    if registered.len() > MAX_OBJECTS {
        return Err(Refused::Full(format!("{MAX_OBJECTS} objects are registered, and no more are taken: delete some")));
    }
    let components: BTreeMap<Digest, &Bytes> =
        registered.values().flat_map(|it| given(&it.spec)).map(|it| (it.digest(), it.bytes())).collect();
    let texts = registered.values().filter_map(|it| it.text.as_ref().ok()).map(String::len);
    let bytes: usize = components.values().map(|it| it.len()).chain(texts).sum();
    if bytes > MAX_BYTES {
        let most = MAX_BYTES >> 20;
        return Err(Refused::Full(format!(
            "all registered objects and components together would have more than {most} MiB: delete some"
        )));
    }
    Ok(())
}

const MAX_OBJECTS: usize = 1024;
/// Of all that is registered together.
const MAX_BYTES: usize = 256 << 20;
/// Bytes in memory of all that is registered, and of the one object that comes just now, which may be copied while it grows.
pub const MOST_REGISTERED: usize = MAX_BYTES + 2 * loader::MAX_SIZE as usize;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{ComponentRef, Runs};

    fn entry(name: &str, component: Option<&Given>) -> (Key, Arc<Entry>) {
        let mut spec = PolicySpec::unknown(Kind::Validator, name);
        if let Some(given) = component {
            spec.runs = Runs::Component(ComponentRef::new(Location::Given(given.clone())));
        }
        ((Kind::Validator, name.to_owned()), Arc::new(Entry { spec, text: Ok("text".to_owned()) }))
    }

    #[test]
    fn what_is_registered_is_bounded() {
        let many = |count| (0..count).map(|it| entry(&it.to_string(), None)).collect::<Registered>();
        assert!(has_room(&many(MAX_OBJECTS)).is_ok());
        assert!(matches!(has_room(&many(MAX_OBJECTS + 1)), Err(Refused::Full(why)) if why.contains("1024 objects")));
        let half = MAX_BYTES / 2;
        let (one, other) = (Given::new(vec![0; half - 100].into()), Given::new(vec![0; half].into()));
        // One that several name counts once.
        assert!(has_room(&[entry("a", Some(&one)), entry("b", Some(&one)), entry("c", Some(&one))].into()).is_ok());
        assert!(has_room(&[entry("a", Some(&one)), entry("b", Some(&other))].into()).is_ok());
        let third = Given::new(vec![0; 100].into());
        let all = [entry("a", Some(&one)), entry("b", Some(&other)), entry("c", Some(&third))].into();
        assert!(matches!(has_room(&all), Err(Refused::Full(why)) if why.contains("256 MiB")));
    }
}
