//! A guest that is written by hand to leave something in every kind of state that core Wasm has.

use std::{fs, path::Path, sync::Arc};

use serde_json::Value;
use verdict::spec::{Instances, PolicySpec};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::support::host::{Host, config_map};

/// Allows where everything is as `init` left it, and changes all of it; else denies with a letter for each kind of state in
/// which it found something.
const GUEST: &str = r#"(module
  (memory (export "memory") 2 64)
  (table $table 4 64 funcref)
  (table $second 1 8 funcref)
  (global $global (mut i64) (i64.const 0))
  (global $reference (mut funcref) (ref.null func))
  (global $next (mut i32) (i32.const 4096))
  (func $mark)
  (elem declare func $mark)

  (func (export "cabi_realloc") (param i32 i32) (param $align i32) (param $size i32) (result i32) (local $at i32)
    (local.set $at (i32.and
      (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
      (i32.sub (i32.const 0) (local.get $align))))
    (global.set $next (i32.add (local.get $at) (local.get $size)))
    (local.get $at))
  ;; What init leaves: byte 7 at 1000, and a function in the table. Its answer, at 64, is all zeros: ok.
  (func (export "verdict:policy/lifecycle@1.0.0#init") (param i32 i32) (result i32)
    (i32.store8 (i32.const 1000) (i32.const 7))
    (table.set $table (i32.const 0) (ref.func $mark))
    (i32.const 64))

  (func $found (param $letter i32) (local $count i32)
    (local.set $count (i32.load (i32.const 140)))
    (i32.store8 (i32.add (i32.const 256) (local.get $count)) (local.get $letter))
    (i32.store (i32.const 140) (i32.add (local.get $count) (i32.const 1))))
  (func (export "verdict:admission/validating@1.0.0#validate") (param i32) (result i32)
    (if (i32.ne (i32.load8_u (i32.const 1000)) (i32.const 7)) (then (call $found (i32.const 0x69)))) ;; i
    (if (i32.ne (i32.load8_u (i32.const 100000)) (i32.const 0)) (then (call $found (i32.const 0x6d)))) ;; m
    (if (i32.ne (memory.size) (i32.const 2)) (then (call $found (i32.const 0x4d)))) ;; M
    (if (i64.ne (global.get $global) (i64.const 0)) (then (call $found (i32.const 0x67)))) ;; g
    (if (i32.eqz (ref.is_null (global.get $reference))) (then (call $found (i32.const 0x72)))) ;; r
    (if (ref.is_null (table.get $table (i32.const 0))) (then (call $found (i32.const 0x69)))) ;; i
    (if (i32.eqz (ref.is_null (table.get $table (i32.const 1)))) (then (call $found (i32.const 0x74)))) ;; t
    (if (i32.ne (table.size $table) (i32.const 4)) (then (call $found (i32.const 0x54)))) ;; T
    (if (i32.ne (table.size $second) (i32.const 1)) (then (call $found (i32.const 0x53)))) ;; S

    (i32.store8 (i32.const 1000) (i32.const 8))
    (i32.store8 (i32.const 100000) (i32.const 1))
    (drop (memory.grow (i32.const 3)))
    (i32.store8 (i32.const 262144) (i32.const 1))
    (global.set $global (i64.const -1))
    (global.set $reference (ref.func $mark))
    (table.set $table (i32.const 0) (ref.null func))
    (table.set $table (i32.const 1) (ref.func $mark))
    (drop (table.grow $table (ref.func $mark) (i32.const 5)))
    (drop (table.grow $second (ref.null func) (i32.const 2)))

    ;; Ok, and at 68 that it is allowed.
    (if (i32.eqz (i32.load (i32.const 140))) (then (i32.store8 (i32.const 68) (i32.const 1)) (return (i32.const 64))))
    ;; Denied, which is zero: at 136 where its message is, and at 140 its length.
    (i32.store (i32.const 136) (i32.const 256))
    (i32.const 128)))"#;

fn component(folder: &Path) -> std::path::PathBuf {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("wit")).unwrap();
    let world = resolve.select_world(&[package], Some("validating-policy")).unwrap();
    let mut module = wat::parse_str(GUEST).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let component = ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap();
    let path = folder.join("guest.wasm");
    fs::write(&path, component).unwrap();
    path
}

async fn host(folder: &Path, instances: Instances) -> Host {
    let mut spec = PolicySpec::file("p", &component(folder));
    spec.instance_policy = instances;
    Host::load(vec![spec]).await.unwrap()
}

async fn review(host: &Host) -> Value {
    host.review("/validate", &config_map("u")).await["response"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_review_finds_memories_tables_and_globals_as_init_left_them() {
    let folder = tempfile::tempdir().unwrap();
    let host = Arc::new(host(folder.path(), Instances::PerReview).await);
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let host = Arc::clone(&host);
            tokio::spawn(async move {
                for _ in 0..16 {
                    let answer = review(&host).await;
                    assert_eq!(answer["allowed"], true, "{answer}");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(host.count("Validator", "p", "allowed"), 64 * 16, "{}", host.metrics.text());
}

/// The guest would find what was left.
#[tokio::test(flavor = "multi_thread")]
async fn a_reused_instance_finds_all_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let host = host(folder.path(), Instances::Reuse).await;
    assert_eq!(review(&host).await["allowed"], true);
    assert_eq!(review(&host).await["status"]["message"], "p: imMgritTS");
}
