use std::{fs, os::unix::fs::PermissionsExt as _};

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

    /// Whether there is an entry of the settings `{}`.
    fn finds(&self) -> bool {
        let source = self.source("{}", &Grants::default(), &Limits::default());
        self.cache.find(&self.engine.wasm(false).unwrap().engine, &source.identity).is_some()
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
    let [entry] = &*entries(&dir) else { panic!("{:?}", entries(&dir)) };
    let written = fs::metadata(entry).unwrap();
    assert_eq!(written.permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);

    let found = Loader::new(&dir, 1 << 30).load("{}").await;
    assert_eq!(found.about(), made.about());
    assert_eq!(found.about().start, Start::Snapshot);
    assert_eq!(fs::metadata(entry).unwrap().ino(), written.ino(), "written again");
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
    assert_eq!(entries(&dir).len(), 6);
}

/// A module that was never asked about its settings must not be found by a policy of it; components are asked in any case.
#[tokio::test]
async fn a_module_that_is_only_called_has_code_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("code");
    let Loader { engine, compiler, .. } = Loader::new(&dir, 1 << 30);
    let module = r#"(module (memory (export "memory") 1) (func (export "validate")))"#;
    let builtin = crate::loader::builtin::find("magic-validator").unwrap().component;
    for (bytes, expected) in [(wat::parse_str(module).unwrap(), 2), (builtin.to_vec(), 3)] {
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
    let entry = entries(&dir).remove(0);
    let good = fs::read(&entry).unwrap();
    let find = || loader.finds();
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

#[tokio::test]
async fn what_others_can_write_is_not_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("code");
    let loader = Loader::new(&dir, 1 << 30);
    loader.load("{}").await;
    let entry = entries(&dir).remove(0);
    let find = || loader.finds();
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
    let all = entries(&dir);
    let size = fs::metadata(&all[0]).unwrap().len();
    let old = SystemTime::now() - Duration::from_secs(7200);
    File::open(&all[0]).unwrap().set_modified(old).unwrap();
    let part = dir.join("0123456789abcdef.part");
    File::create(&part).unwrap().set_modified(old).unwrap();

    Loader::new(&dir, size * 5 / 2).load("{  }").await;
    let left = entries(&dir);
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(!left.contains(&all[0]) && left.contains(&all[1]) && !left.contains(&part), "{left:?}");
}
