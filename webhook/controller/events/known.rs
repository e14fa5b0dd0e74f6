//! The objects of one watch as they were seen last: by them a change tells what was before, and a list what changed while nobody watched.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use kube::core::DynamicObject;
use serde_json::value::RawValue;

/// By which an object is told apart from others of its watch: `NAMESPACE/NAME`, or `/NAME`.
pub(super) type Name = String;

/// An object as a provider gets it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) uid: String,
    pub(super) version: String,
    /// None: there was no room to keep it.
    pub(super) object: Option<Arc<RawValue>>,
}

/// Those of one watch.
pub(super) struct Known {
    seen: HashMap<Name, Seen>,
    room: Arc<Room>,
}

/// For all objects of all watches together.
#[derive(Default)]
pub(super) struct Room(AtomicUsize);

impl Known {
    pub(super) fn new(room: Arc<Room>) -> Self {
        Self { seen: HashMap::new(), room }
    }

    /// It is so now; gives what it was before.
    pub(super) fn put(&mut self, name: &str, seen: &Seen) -> Option<Seen> {
        let mut seen = seen.clone();
        let size = size(&seen);
        let before = self.remove(name);
        if self.room.0.fetch_add(size, Ordering::Relaxed) + size > MOST {
            self.room.0.fetch_sub(size, Ordering::Relaxed);
            seen.object = None;
        }
        self.seen.insert(name.to_owned(), seen);
        before
    }

    /// It is gone; gives what it was.
    pub(super) fn remove(&mut self, name: &str) -> Option<Seen> {
        let seen = self.seen.remove(name)?;
        self.room.0.fetch_sub(size(&seen), Ordering::Relaxed);
        Some(seen)
    }

    /// Nothing is known any more.
    pub(super) fn clear(&mut self) {
        let all: usize = self.seen.drain().map(|(_, it)| size(&it)).sum();
        self.room.0.fetch_sub(all, Ordering::Relaxed);
    }

    pub(super) fn get(&self, name: &str) -> Option<&Seen> {
        self.seen.get(name)
    }

    /// All that are none of `those`.
    pub(super) fn others(&self, those: &HashSet<Name>) -> Vec<Name> {
        self.seen.keys().filter(|it| !those.contains(*it)).cloned().collect()
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Seen {
    /// Of an object that came from the cluster. None: it cannot be written as JSON, which does not happen.
    pub(super) fn of(mut object: DynamicObject) -> Option<(Name, Self)> {
        let metadata = &mut object.metadata;
        // What nobody decides by, and is often the larger half.
        metadata.managed_fields = None;
        let name = format!(
            "{}/{}",
            metadata.namespace.as_deref().unwrap_or_default(),
            metadata.name.as_deref().unwrap_or_default()
        );
        let uid = metadata.uid.clone().unwrap_or_default();
        let version = metadata.resource_version.clone().unwrap_or_default();
        let object = serde_json::value::to_raw_value(&object).ok()?;
        Some((name, Self { uid, version, object: Some(Arc::from(object)) }))
    }
}

fn size(seen: &Seen) -> usize {
    seen.object.as_ref().map_or(0, |it| it.get().len())
}

/// Bytes of all objects that are kept.
pub(super) const MOST: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(version: &str, bytes: usize) -> Seen {
        let object = RawValue::from_string(format!("\"{}\"", "x".repeat(bytes))).unwrap();
        Seen { uid: "u".to_owned(), version: version.to_owned(), object: Some(Arc::from(object)) }
    }

    #[test]
    fn what_does_not_fit_is_known_without_what_it_was() {
        let room = Arc::new(Room::default());
        let mut known = Known::new(Arc::clone(&room));
        assert!(known.put("a/one", &seen("1", 10)).is_none());
        assert!(known.put("a/two", &seen("1", MOST)).is_none());
        assert_eq!(known.put("a/one", &seen("2", 20)).unwrap().version, "1");
        assert!(known.get("a/two").unwrap().object.is_none());
        assert_eq!(room.0.load(Ordering::Relaxed), 22);
        assert_eq!(known.others(&["a/one".to_owned()].into()), ["a/two"]);
        assert_eq!(known.remove("a/one").unwrap().version, "2");
        drop(known);
        assert_eq!(room.0.load(Ordering::Relaxed), 0);
    }
}
