use std::{fs, path::Path};

use super::*;
use crate::spec::{Location, PolicySpec};

/// SHA-256 of `abc`, from FIPS 180-2.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn reference(path: &str, base: &Path) -> ComponentRef {
    ComponentRef::new(Location::File(base.join(path)))
}

fn pinned(path: &str, base: &Path, digest: &str) -> ComponentRef {
    ComponentRef { digest: Some(digest.parse().unwrap()), ..reference(path, base) }
}

#[test]
fn a_file_is_read_with_its_digest() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.wasm"), "abc").unwrap();
    let component = local(&reference("./a.wasm", folder.path())).unwrap();
    assert_eq!(&*component.bytes, b"abc");
    assert_eq!(component.digest.to_string(), ABC);
    local(&pinned("a.wasm", folder.path(), ABC)).unwrap();
}

#[test]
fn a_wrong_digest_names_both() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.wasm"), "abc").unwrap();
    let wrong = format!("00{}", &ABC[2..]);
    let error = local(&pinned("a.wasm", folder.path(), &wrong)).err();
    let text = error.unwrap().to_string();
    assert!(text.contains(ABC) && text.contains(&wrong), "{text}");
}

#[test]
fn only_regular_files_of_a_bounded_size_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.wasm");
    fs::File::create(&path).unwrap().set_len(MAX_SIZE + 1).unwrap();
    let text = |name: &str| {
        let error = local(&reference(name, folder.path())).err();
        error.unwrap().to_string()
    };
    assert!(text("large.wasm").ends_with("larger than 104857600 bytes"), "{}", text("large.wasm"));
    assert!(text(".").ends_with("not a regular file"), "{}", text("."));
    assert!(text("missing.wasm").contains("missing.wasm: No such file"), "{}", text("missing.wasm"));
}

#[test]
fn unknown_builtins_are_refused() {
    let error = local(PolicySpec::builtin("no-such-thing").component().unwrap()).err();
    let text = error.unwrap().to_string();
    assert!(text.starts_with("builtin:no-such-thing does not exist"), "{text}");
}
