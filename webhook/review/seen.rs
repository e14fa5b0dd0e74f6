//! The objects of one review, as its policies see them.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::projection::Projection;

/// An object, and what it was before, as JSON.
pub type Whole<'a> = [Option<&'a str>; 2];
/// What is read of both.
pub type Fields<'a> = [Option<Cow<'a, str>>; 2];

/// Both objects, and what policies read of them: policies that read the same fields share one projection.
pub struct Seen<'a> {
    whole: Whole<'a>,
    kept: Mutex<Kept<'a>>,
}

struct Kept<'a> {
    fields: Vec<(Arc<Projection>, Arc<Fields<'a>>)>,
    /// Bytes that may still be kept: all together are never more than the objects themselves.
    room: usize,
}

/// What one policy sees.
pub enum Sight<'a> {
    /// Both objects as they are.
    Whole(Whole<'a>),
    /// What it reads of them.
    Fields(Arc<Fields<'a>>),
}

impl<'a> Seen<'a> {
    /// Of an object and what it was before, as JSON.
    pub fn new(object: Option<&'a str>, old_object: Option<&'a str>) -> Self {
        let whole = [object, old_object];
        let room = whole.into_iter().flatten().map(str::len).sum();
        Self { whole, kept: Mutex::new(Kept { fields: Vec::new(), room }) }
    }

    /// The whole object.
    pub fn object(&self) -> Option<&'a str> {
        self.whole[0]
    }

    /// What is seen by a policy that reads these fields; None: all.
    pub fn by(&self, reads: Option<&Arc<Projection>>) -> Sight<'a> {
        let Some(reads) = reads else { return Sight::Whole(self.whole) };
        let same = |other: &Arc<Projection>| Arc::ptr_eq(other, reads) || other == reads;
        if let Some((_, fields)) = self.kept().fields.iter().find(|(other, _)| same(other)) {
            return Sight::Fields(Arc::clone(fields));
        }
        // Not under the lock, since it may take long.
        let fields = Arc::new(self.whole.map(|it| it.map(|it| reads.of(it))));
        let size = fields.iter().flatten().map(|it| if let Cow::Owned(text) = it { text.len() } else { 0 }).sum();
        let mut kept = self.kept();
        if let Some(room) = kept.room.checked_sub(size) {
            kept.room = room;
            kept.fields.push((Arc::clone(reads), Arc::clone(&fields)));
        }
        Sight::Fields(fields)
    }

    /// Nothing panics while it is held.
    fn kept(&self) -> MutexGuard<'_, Kept<'a>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sight<'_> {
    /// The object, and what it was before.
    pub fn objects(&self) -> [Option<&str>; 2] {
        match self {
            Self::Whole(objects) => *objects,
            Self::Fields(objects) => objects.each_ref().map(Option::as_deref),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(paths: &[&str]) -> Arc<Projection> {
        let paths: Vec<String> = paths.iter().map(|it| (*it).to_owned()).collect();
        Arc::new(Projection::new(&paths).unwrap())
    }

    #[test]
    fn who_reads_the_same_shares_what_is_made_and_others_see_their_own() {
        let (object, old) = (r#"{"kind":"A","spec":{"a":1,"b":2}}"#, r#"{"kind":"A","spec":{"a":0}}"#);
        let seen = Seen::new(Some(object), Some(old));
        assert_eq!(seen.by(None).objects(), [Some(object), Some(old)]);
        let (Sight::Fields(first), Sight::Fields(same)) =
            (seen.by(Some(&reads(&["spec.a"]))), seen.by(Some(&reads(&["spec.a"]))))
        else {
            unreachable!()
        };
        assert!(Arc::ptr_eq(&first, &same));
        assert_eq!(first[0].as_deref(), Some(r#"{"kind":"A","spec":{"a":1}}"#));
        let other = seen.by(Some(&reads(&["spec.b"])));
        assert_eq!(other.objects(), [Some(r#"{"kind":"A","spec":{"b":2}}"#), Some(r#"{"kind":"A","spec":{}}"#)]);
    }

    #[test]
    fn no_more_is_kept_than_the_objects_themselves_take() {
        let object = format!(r#"{{"data":{{"a":"{}","b":1,"rest":"{}"}}}}"#, "x".repeat(1000), "y".repeat(100));
        let seen = Seen::new(Some(&object), None);
        let shares = |paths: &[&str]| {
            let (one, two) = (seen.by(Some(&reads(paths))), seen.by(Some(&reads(paths))));
            assert_eq!(one.objects(), two.objects());
            matches!((one, two), (Sight::Fields(one), Sight::Fields(two)) if Arc::ptr_eq(&one, &two))
        };
        assert!(shares(&["data.a"]));
        assert!(!shares(&["data.a", "data.c"]), "there is no room for another one of this size");
        assert!(shares(&["data.b"]), "but for a small one");
    }
}
