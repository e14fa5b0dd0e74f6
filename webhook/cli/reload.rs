//! Keeps what serves in step with the files that declare it: they are looked at once in a while, and again when the process gets SIGHUP.
//! On a thread of its own, since reading and loading take long, and reviews must not wait for them.

use std::{
    collections::BTreeMap,
    fs,
    future::pending,
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use futures_util::future::try_join_all;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::sleep,
};
use tracing::{error, info};

use super::sources::Sources;
use crate::{
    certs::Pair,
    config::{ConfigError, Found},
    observe::Metrics,
    policy::{Declared, Keeper, Live, Now, Orders, Unreadable},
    spec::{Location, PolicySpec},
};

/// The policies of each file, as they were when it could be read last.
pub(super) type Kept = BTreeMap<PathBuf, Vec<PolicySpec>>;

/// As declared by files that can all be read.
pub(super) fn kept(found: Found) -> Kept {
    found.files.into_iter().map(|(path, specs)| (path, specs.unwrap_or_default())).collect()
}

/// All of them, as they are to be.
pub(super) fn declared(kept: &Kept) -> Vec<Declared> {
    kept.values().flatten().cloned().map(Declared::read).collect()
}

/// Files beside those of policies, and what is done when they change.
pub(super) struct Watched {
    pub(super) files: Vec<PathBuf>,
    /// A pair that is no file.
    pub(super) made: Option<watch::Receiver<Option<Pair>>>,
    /// Reads them. What cannot be read changes nothing.
    pub(super) read: Box<dyn Fn() + Send>,
}

/// Looks at the files from now on, for as long as the process lives.
///
/// # Errors
/// There is no thread to be had.
pub(super) fn keep_up(sources: Sources, keeper: Keeper, kept: Kept, others: Vec<Watched>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let body = move || {
        let both = async {
            let others = try_join_all(others.iter().map(Watched::keep_up));
            let (orders, metrics) = (keeper.orders(), Arc::clone(&keeper.loader.metrics));
            let live = Arc::clone(&keeper.loader.live);
            let files = async {
                // Whoever names none has none.
                if sources.is_empty() { Ok(()) } else { watch(&sources, &orders, &metrics, &live, kept).await }
            };
            let keeper = async {
                keeper.run().await;
                Ok(())
            };
            tokio::try_join!(files, others, keeper).map(drop)
        };
        if let Err(error) = runtime.block_on(both) {
            error!(%error, "files are not looked at any more: restart the server to apply changes");
        }
    };
    thread::Builder::new().name("reload".to_owned()).spawn(body).map(drop)
}

impl Watched {
    /// As long as the process lives.
    async fn keep_up(&self) -> io::Result<()> {
        let mut hangup = signal(SignalKind::hangup())?;
        let stamps = || Stamps::of_files(self.files.iter().cloned());
        let mut seen = stamps();
        let mut made = self.made.clone();
        loop {
            let is_told = tokio::select! {
                _ = hangup.recv() => true,
                Ok(()) = another(&mut made) => true,
                () = sleep(PAUSE) => false,
            };
            if stamps() == seen && !is_told {
                continue;
            }
            seen = settled(&stamps).await;
            (self.read)();
        }
    }
}

/// Another pair was made. An error: nobody makes one any more.
async fn another(made: &mut Option<watch::Receiver<Option<Pair>>>) -> Result<(), watch::error::RecvError> {
    match made {
        Some(made) => made.changed().await,
        None => pending().await,
    }
}

/// Whoever writes is let finish.
async fn settled(stamps: &impl Fn() -> Stamps) -> Stamps {
    let mut now = stamps();
    loop {
        sleep(SETTLED).await;
        let later = stamps();
        if later == now {
            return now;
        }
        now = later;
    }
}

async fn watch(sources: &Sources, orders: &Orders, metrics: &Metrics, live: &Live, mut kept: Kept) -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut seen = Stamps::of(sources, &kept);
    loop {
        let is_told = tokio::select! {
            _ = hangup.recv() => true,
            () = sleep(PAUSE) => false,
        };
        if Stamps::of(sources, &kept) == seen && !is_told {
            continue;
        }
        let now = settled(&|| Stamps::of(sources, &kept)).await;
        let found = sources.look();
        if Stamps::of(sources, &kept) != now {
            // Half of it may be old: it is read again.
            continue;
        }
        match changed(found, &kept) {
            Ok(Changed { kept: next, declared, unreadable }) => {
                kept = next;
                // Before they are loaded, so that a component which changes meanwhile is looked at again.
                seen = Stamps::of(sources, &kept);
                orders.files(declared, unreadable).await;
                metrics.reloaded(true);
                info!(digest = %live.current().digest(), "the files were read again");
            }
            Err(why) => {
                seen = now;
                metrics.reloaded(false);
                error!("nothing is changed: {why}");
            }
        }
    }
}

/// What files declare now.
struct Changed {
    kept: Kept,
    declared: Vec<Declared>,
    unreadable: Vec<Unreadable>,
}

/// What is declared now; of files that cannot be read, what they declared before. An error: nothing may change.
fn changed(found: Found, before: &Kept) -> Result<Changed, String> {
    if !found.errors.is_empty() {
        return Err(words(&found.errors));
    }
    let (mut kept, mut declared, mut unreadable) = (Kept::new(), Vec::new(), Vec::new());
    for (path, result) in found.files {
        let (specs, why) = match result {
            Ok(specs) => (specs, None),
            Err((_, errors)) => {
                let why = words(&errors);
                error!("{why}: its policies stay as they are");
                unreadable.push(Unreadable { source: path.display().to_string(), reason: why.clone() });
                (before.get(&path).cloned().unwrap_or_default(), Some(why))
            }
        };
        let now = || why.clone().map_or(Now::Read, Now::Unreadable);
        declared.extend(specs.iter().map(|spec| Declared { now: now(), ..Declared::read(spec.clone()) }));
        kept.insert(path, specs);
    }
    if declared.is_empty() && before.values().any(|it| !it.is_empty()) {
        return Err("the files hold no policy any more".to_owned());
    }
    Ok(Changed { kept, declared, unreadable })
}

fn words(errors: &[ConfigError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Of every file that counts, what changes when it is written or replaced, through symlinks: a mounted ConfigMap replaces one of these.
#[derive(PartialEq, Eq)]
struct Stamps(BTreeMap<PathBuf, Option<Stamp>>);

/// Device and inode, size, times of its content and of itself.
type Stamp = (u64, u64, u64, (i64, i64), (i64, i64));

impl Stamps {
    fn of(sources: &Sources, kept: &Kept) -> Self {
        let specs = kept.values().flatten();
        let all = specs.flat_map(|it| std::iter::once(it).chain(it.members()));
        let of_policies = all.flat_map(|spec| {
            let component = spec.component().and_then(|it| match &it.location {
                Location::File(path) => Some(path.clone()),
                Location::Builtin(_) | Location::Image(_) | Location::Url(_) | Location::Given(_) => None,
            });
            component.into_iter().chain(spec.files.iter().cloned())
        });
        Self::of_files(sources.files().into_iter().chain(of_policies))
    }

    fn of_files(files: impl Iterator<Item = PathBuf>) -> Self {
        let stamp = |path: PathBuf| {
            let stamp = Self::stamp(&path);
            (path, stamp)
        };
        Self(files.map(stamp).collect())
    }

    fn stamp(path: &Path) -> Option<Stamp> {
        let it = fs::metadata(path).ok()?;
        Some((it.dev(), it.ino(), it.size(), (it.mtime(), it.mtime_nsec()), (it.ctime(), it.ctime_nsec())))
    }
}

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// How long nothing must change before files are read.
const SETTLED: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn another_pair_is_taken_at_once_and_one_that_nobody_renews_never() {
        let pair = |name: &str| Some(Pair { certificate: name.to_owned(), key: String::new() });
        for renews in [true, false] {
            let count = Arc::new(AtomicUsize::new(0));
            let (maker, made) = watch::channel(pair("one"));
            let read = {
                let count = Arc::clone(&count);
                move || {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            };
            let watched = Watched { files: Vec::new(), made: Some(made), read: Box::new(read) };
            let changes = async {
                if renews {
                    maker.send_replace(pair("two"));
                } else {
                    drop(maker);
                }
                sleep(PAUSE * 2).await;
            };
            tokio::select! {
                ended = watched.keep_up() => panic!("{ended:?}"),
                passed = timeout(PAUSE * 60, changes) => passed.unwrap(),
            }
            assert_eq!(count.load(Ordering::Relaxed), usize::from(renews));
        }
    }
}
