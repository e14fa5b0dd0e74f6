use std::{os::unix::fs::PermissionsExt as _, sync::Arc};

use super::*;
use crate::{
    engine::{
        prepare::Compiler,
        run::{Capacity, Program, Start},
    },
    spec::Grants,
};

/// A source whose code takes little time to make.
fn source(settings: &str) -> Source {
    let component = crate::loader::builtin::find("magic-validator").unwrap().component;
    Source {
        bytes: component.into(),
        digest: Digest(Sha256::digest(component).into()),
        settings: settings.into(),
        grants: Arc::new(Grants::default()),
        memory: 64 << 20,
        fuelled: false,
    }
}

fn engine(dir: &Path, max: u64) -> crate::engine::run::Engine {
    let cache = Cache::open(dir, max).unwrap();
    let capacity = Capacity { instances: 2, memory: 128 << 20 };
    crate::engine::run::Engine::with(capacity, Compiler::in_process(), Some(cache)).unwrap()
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
    let made = Program::load(&engine(&dir, 1 << 30), &source("{}")).await.unwrap();
    let [entry] = &*entries(&dir) else { panic!("{:?}", entries(&dir)) };
    let written = fs::metadata(entry).unwrap();
    assert_eq!(written.permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);

    let found = Program::load(&engine(&dir, 1 << 30), &source("{}")).await.unwrap();
    assert_eq!(found.about(), made.about());
    assert_eq!(found.about().start, Start::Snapshot);
    assert_eq!(fs::metadata(entry).unwrap().ino(), written.ino(), "written again");
}

#[tokio::test]
async fn each_part_of_a_source_has_code_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("code");
    let engine = engine(&dir, 1 << 30);
    let plain = source("{}");
    let granted = Grants { env: [("A".to_owned(), "1".to_owned())].into(), log: false };
    let all = [
        source("{}"),
        source("{ }"),
        Source { grants: Arc::new(granted), ..plain.clone() },
        Source { fuelled: true, ..plain.clone() },
    ];
    for source in all {
        Program::load(&engine, &source).await.unwrap();
    }
    // The component's limits are no part of its code.
    Program::load(&engine, &Source { memory: 32 << 20, ..plain }).await.unwrap();
    assert_eq!(entries(&dir).len(), 4);
}

#[tokio::test]
async fn damage_is_a_miss() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("code");
    let engine = engine(&dir, 1 << 30);
    Program::load(&engine, &source("{}")).await.unwrap();
    let entry = entries(&dir).remove(0);
    let good = fs::read(&entry).unwrap();
    let key = Key::new(engine.wasm(false).unwrap(), &source("{}"));
    let find = || engine.cache().unwrap().find(&engine.wasm(false).unwrap().engine, &key).is_some();
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
    Program::load(&engine, &source("{}")).await.unwrap();
    assert!(find(), "a damaged entry is not made anew");
}

#[tokio::test]
async fn what_others_can_write_is_not_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("code");
    let engine = engine(&dir, 1 << 30);
    Program::load(&engine, &source("{}")).await.unwrap();
    let entry = entries(&dir).remove(0);
    let key = Key::new(engine.wasm(false).unwrap(), &source("{}"));
    let find = || engine.cache().unwrap().find(&engine.wasm(false).unwrap().engine, &key).is_some();
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
    let first = engine(&dir, 1 << 30);
    for settings in ["{}", "{ }"] {
        Program::load(&first, &source(settings)).await.unwrap();
    }
    let all = entries(&dir);
    let size = fs::metadata(&all[0]).unwrap().len();
    let old = SystemTime::now() - Duration::from_secs(7200);
    File::open(&all[0]).unwrap().set_modified(old).unwrap();
    let part = dir.join("0123456789abcdef.part");
    File::create(&part).unwrap().set_modified(old).unwrap();

    Program::load(&engine(&dir, size * 5 / 2), &source("{  }")).await.unwrap();
    let left = entries(&dir);
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(!left.contains(&all[0]) && left.contains(&all[1]) && !left.contains(&part), "{left:?}");
}
