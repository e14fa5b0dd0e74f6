use std::{fs, os::unix::fs::PermissionsExt as _, sync::Arc};

use super::*;
use crate::{
    engine::{
        prepare::{Compiler, Source},
        run::{Capacity, Engine, Program, Start},
    },
    loader::Component,
    spec::{Grants, HostCapabilities, Limits},
};

/// What loads programs, with a cache.
struct Loader {
    engine: Engine,
    compiler: Compiler,
    cache: Cache,
}

impl Loader {
    fn new(dir: &Path, max: u64) -> Self {
        let open = || Cache::open(dir, max).unwrap();
        let engine = Engine::new(Capacity { instances: 2, memory: 128 << 20 }).unwrap();
        Self { engine, compiler: Compiler::in_process(Some(open())), cache: open() }
    }

    fn without_cache(dir: &Path) -> Self {
        Self { compiler: Compiler::in_process(None), ..Self::new(dir, 1 << 30) }
    }

    /// Whose code takes little time to make.
    fn source(&self, settings: &str, grants: &Grants, limits: &Limits) -> Source {
        let bytes = crate::loader::builtin::find("magic-validator").unwrap().component;
        let component = Component::new(bytes);
        Source::new(&self.engine, component, Some(settings), grants, limits).unwrap()
    }

    async fn load(&self, settings: &str) -> Program {
        self.load_with(settings, &Grants::default(), &Limits::default()).await
    }

    async fn load_with(&self, settings: &str, grants: &Grants, limits: &Limits) -> Program {
        self.compiler.load(&self.engine, &self.source(settings, grants, limits)).await.unwrap()
    }

    /// Of these settings, and of what all settings share.
    fn keys(&self, settings: &str) -> [Digest; 2] {
        let Source { identity, .. } = self.source(settings, &Grants::default(), &Limits::default());
        [identity.digest().unwrap(), identity.shared().unwrap()]
    }

    fn finds(&self, key: &Digest) -> bool {
        self.cache.find::<serde_json::Value>(&self.engine.wasm(false).unwrap().engine, key).is_some()
    }
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> = fs::read_dir(dir).unwrap().map(|it| it.unwrap().path()).collect();
    all.sort();
    all
}

#[tokio::test]
async fn an_entry_is_written_once_and_found_by_another_engine() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("code");
    let made = Loader::new(&dir, 1 << 30).load("{}").await;
    let all = entries(&dir);
    assert_eq!(all.len(), 3, "its state, its code, and what init runs in: {all:?}");
    let written = || -> Vec<Metadata> { all.iter().map(|it| fs::metadata(it).unwrap()).collect() };
    let before = written();
    assert!(before.iter().all(|it| it.permissions().mode() & 0o777 == 0o600));
    assert!(before.iter().any(|it| it.len() < 100_000) && before.iter().any(|it| it.len() > 200_000), "{before:?}");
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);

    let found = Loader::new(&dir, 1 << 30).load("{}").await;
    assert_eq!(found.about(), made.about());
    assert_eq!(found.about().start, Start::Snapshot);
    let numbers = |all: Vec<Metadata>| -> Vec<u64> { all.iter().map(Metadata::ino).collect() };
    assert_eq!(numbers(written()), numbers(before), "written again");
}

#[tokio::test]
async fn each_part_of_an_identity_has_code_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("code");
    let loader = Loader::new(&dir, 1 << 30);
    let (no_grants, usual) = (Grants::default(), Limits::default());
    loader.load("{}").await;
    loader.load("{ }").await;
    loader
        .load_with("{}", &Grants { env: [("A".to_owned(), "1".to_owned())].into(), ..Grants::default() }, &usual)
        .await;
    loader.load_with("{}", &Grants { log: true, ..no_grants.clone() }, &usual).await;
    let host_capabilities = HostCapabilities::new(vec!["*".to_owned()]).unwrap();
    loader.load_with("{}", &Grants { host_capabilities, ..no_grants.clone() }, &usual).await;
    loader.load_with("{}", &no_grants, &Limits { fuel: Some(1 << 30), ..usual }).await;
    // Other limits are no part of the code.
    loader.load_with("{}", &no_grants, &Limits { memory: 32 << 20, time: Duration::from_secs(1), ..usual }).await;
    // And what they share, with instructions counted and not, and what init runs in for these.
    assert_eq!(entries(&dir).len(), 6 + 2 + 2);
}

/// A module that was never asked about its settings must not be found by a policy of it; components are asked in any case.
#[tokio::test]
async fn a_module_that_is_only_called_has_code_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("code");
    let Loader { engine, compiler, .. } = Loader::new(&dir, 1 << 30);
    let module = r#"(module (memory (export "memory") 1) (func (export "validate")))"#;
    let builtin = crate::loader::builtin::find("magic-validator").unwrap().component;
    for (bytes, expected) in [(wat::parse_str(module).unwrap(), 2), (builtin.to_vec(), 5)] {
        let (component, limits) = (Component::new(bytes), Limits::default());
        let policy = Source::new(&engine, component.clone(), None, &Grants::default(), &limits).unwrap();
        let called = Source::to_call(&engine, component, None, &limits).unwrap();
        for source in [policy, called] {
            compiler.load(&engine, &source).await.unwrap();
        }
        assert_eq!(entries(&dir).len(), expected);
    }
}

#[tokio::test]
async fn damage_is_a_miss() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("code");
    let loader = Loader::new(&dir, 1 << 30);
    loader.load("{}").await;
    for key in loader.keys("{}") {
        let entry = loader.cache.path(&key);
        let good = fs::read(&entry).unwrap();
        let find = || loader.finds(&key);
        assert!(find());
        let flipped = |at: usize| {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            bytes
        };
        let damages = [
            Vec::new(),
            good[..good.len() / 2].to_vec(),
            good[1..].to_vec(),
            flipped(good.len() / 2),
            flipped(good.len() - 30),
            flipped(good.len() - 1),
            [&good[..], &good].concat()[10..].to_vec(),
        ];
        for (case, bytes) in damages.into_iter().enumerate() {
            fs::remove_file(&entry).unwrap();
            fs::write(&entry, bytes).unwrap();
            fs::set_permissions(&entry, fs::Permissions::from_mode(0o600)).unwrap();
            assert!(!find(), "damage {case} was not seen");
        }
        loader.load("{}").await;
        assert!(find(), "a damaged entry is not made anew");
    }
}

/// With a cache or without, compiled before or not.
#[tokio::test]
async fn programs_that_differ_in_settings_run_the_same_code() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("code");
    for loader in [Loader::new(&dir, 1 << 30), Loader::new(&dir, 1 << 30), Loader::without_cache(&dir)] {
        let [a, b] = [loader.load("{}").await, loader.load("{ }").await];
        assert!(Arc::ptr_eq(a.shared().unwrap(), b.shared().unwrap()));
        let counted = Limits { fuel: Some(1 << 30), ..Limits::default() };
        let c = loader.load_with("{}", &Grants::default(), &counted).await;
        assert!(!Arc::ptr_eq(a.shared().unwrap(), c.shared().unwrap()), "code that counts is other code");
        let other = Loader { compiler: loader.compiler, ..Loader::new(&dir, 1 << 30) };
        let d = other.load("{}").await;
        assert!(!Arc::ptr_eq(a.shared().unwrap(), d.shared().unwrap()), "the same compiler serves another engine");
    }
}

/// The code of one component is never run with the state of another, nor without any.
#[tokio::test]
async fn entries_in_each_others_place_are_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("code");
    let loader = Loader::new(&dir, 1 << 30);
    loader.load("{}").await;
    let [state, shared] = loader.keys("{}").map(|it| loader.cache.path(&it));
    let good = [&state, &shared].map(|it| fs::read(it).unwrap());
    for (from, to) in [(&state, &shared), (&shared, &state)] {
        fs::remove_file(to).unwrap();
        fs::copy(from, to).unwrap();
        loader.load("{}").await;
        let is = [&state, &shared].map(|it| fs::read(it).unwrap());
        assert!(is == good);
    }
}

#[tokio::test]
async fn what_others_can_write_is_not_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("code");
    let loader = Loader::new(&dir, 1 << 30);
    loader.load("{}").await;
    let [key, _] = loader.keys("{}");
    let entry = loader.cache.path(&key);
    let find = || loader.finds(&key);
    fs::set_permissions(&entry, fs::Permissions::from_mode(0o620)).unwrap();
    assert!(!find(), "written by the group");
    fs::set_permissions(&entry, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(find());
    let elsewhere = dir.parent().unwrap().join("elsewhere");
    fs::rename(&entry, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &entry).unwrap();
    assert!(!find(), "a link to anywhere");

    fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(Cache::open(&dir, 1), Err(CacheError::Shared { path }) if path.ends_with("code")));
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o1777)).unwrap();
    assert!(matches!(Cache::open(&dir, 1), Err(CacheError::Shared { .. })), "sticky helps only above");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    let inner = dir.join("inner");
    fs::set_permissions(dir.parent().unwrap(), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(Cache::open(&inner, 1), Err(CacheError::Shared { .. })), "a folder above");
}

#[tokio::test]
async fn what_was_used_longest_ago_goes_first() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("code");
    let first = Loader::new(&dir, 1 << 30);
    for settings in ["{}", "{ }"] {
        first.load(settings).await;
    }
    let [oldest, other] = ["{}", "{ }"].map(|it| first.cache.path(&first.keys(it)[0]));
    let size: u64 = entries(&dir).iter().map(|it| fs::metadata(it).unwrap().len()).sum();
    let old = SystemTime::now() - Duration::from_secs(7200);
    File::open(&oldest).unwrap().set_modified(old).unwrap();
    let part = dir.join("0123456789abcdef.part");
    File::create(&part).unwrap().set_modified(old).unwrap();

    Loader::new(&dir, size).load("{  }").await;
    let left = entries(&dir);
    assert_eq!(left.len(), 4, "{left:?}");
    assert!(!left.contains(&oldest) && left.contains(&other) && !left.contains(&part), "{left:?}");
}
