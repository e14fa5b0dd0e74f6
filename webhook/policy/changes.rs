//! Changes of objects as a request makes them: inside its deadline, off the connections' threads where they are large, and
//! within a budget of memory that all requests share.

use std::time::{Duration, Instant};

use tokio::{
    sync::Semaphore,
    task::spawn_blocking,
    time::{Instant as Deadline, timeout_at},
};

use crate::{
    review::{
        admission::Change,
        patch::{self, PatchError, Work},
    },
    spec::Failure,
};

/// The object after `change`, or None when nothing changes.
pub(super) async fn apply(object: &str, change: Change, deadline: Instant) -> Result<Option<String>, Failure> {
    let room = patch::room_to_apply(object, &change);
    if room < LARGE {
        return patch::apply(object, &change, &mut Work::until(deadline)).map_err(failure);
    }
    let object = object.to_owned();
    within(room, deadline, move |work| patch::apply(&object, &change, work)).await
}

/// The same, with the patch from `object` to it where that can be told at once, and takes no more memory than there is.
pub(super) async fn apply_and_patch(
    object: &str,
    change: Change,
    deadline: Instant,
) -> Result<Option<Changed>, Failure> {
    let made = |made: Option<(String, Option<String>)>| made.map(|(object, patch)| Changed { object, patch });
    // Each value of both may be a change that is noted.
    let room = 2 * patch::room_to_apply(object, &change);
    if room > ROOM << 20 {
        return Ok(apply(object, change, deadline).await?.map(|object| Changed { object, patch: None }));
    }
    if room < LARGE {
        return patch::apply_and_patch(object, &change, &mut Work::until(deadline)).map(made).map_err(failure);
    }
    let object = object.to_owned();
    within(room, deadline, move |work| patch::apply_and_patch(&object, &change, work)).await.map(made)
}

/// An object as policies changed it.
pub(super) struct Changed {
    pub(super) object: String,
    /// The patch to it from the object of the request, where that is known.
    pub(super) patch: Option<String>,
}

/// The patch from one object to another, or None when they are equal.
pub(super) async fn between(old: &str, new: String, deadline: Instant) -> Result<Option<String>, Failure> {
    let room = patch::room_between(old, &new);
    if room < LARGE {
        return patch::between(old, &new, &mut Work::until(deadline)).map_err(failure);
    }
    let old = old.to_owned();
    within(room, deadline, move |work| patch::between(&old, &new, work)).await
}

/// Does `work` on a thread that may be kept busy, when there is room for it.
async fn within<T: Send + 'static>(
    room: usize,
    deadline: Instant,
    work: impl FnOnce(&mut Work) -> Result<T, PatchError> + Send + 'static,
) -> Result<T, Failure> {
    let mebibytes = u32::try_from(room.div_ceil(1 << 20)).unwrap_or(u32::MAX);
    if mebibytes as usize > ROOM {
        return Err(Failure::Size(format!("changing the object takes more than {ROOM} MiB of memory")));
    }
    let Ok(permit) = timeout_at(Deadline::from_std(deadline), BUDGET.acquire_many(mebibytes)).await else {
        return Err(Failure::Overload);
    };
    let permit = permit.map_err(|closed| Failure::Host(closed.to_string()))?;
    // It ends itself at the deadline, and holds its room until then, whether or not somebody still waits for it.
    let done = spawn_blocking(move || {
        let done = work(&mut Work::until(deadline));
        drop(permit);
        done
    });
    match done.await {
        Ok(done) => done.map_err(failure),
        Err(panicked) => Err(Failure::Host(panicked.to_string())),
    }
}

/// Until when a policy's change may be made: the caller's deadline, and what is left of the policy's own time.
pub(super) fn deadline(caller: Instant, limit: Duration, used: Duration) -> Instant {
    caller.min(Instant::now() + limit.saturating_sub(used))
}

fn failure(error: PatchError) -> Failure {
    match error {
        PatchError::Invalid(why) => Failure::Answer(why.to_string()),
        PatchError::TooLarge(what) => Failure::Size(what.to_string()),
        PatchError::OutOfTime => Failure::Timeout,
    }
}

/// Bytes of memory from which a change is large: some milliseconds of work.
const LARGE: usize = 2 << 20;
/// MiB of memory that all large changes may take together.
pub(super) const ROOM: usize = 192;
static BUDGET: Semaphore = Semaphore::const_new(ROOM);
