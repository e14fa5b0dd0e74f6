//! Finds the name under which Rust's standard library imports the seed of its hash maps. It is mangled, with a hash that
//! changes with each release, so it is looked up in the library itself. Where it is not found, the import stays.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_FAMILY").as_deref() != Ok("wasm") {
        return;
    }
    let seed = library().and_then(|folder| find(&folder)).map(|name| {
        format!(
            "#[unsafe(export_name = {name:?})]\nunsafe extern \"C\" fn insecure_seed(seed: *mut [u64; 2]) {{\n    \
             // SAFETY: the caller's promise.\n    unsafe {{ seed.write(random_pair()) }}\n}}\n"
        )
    });
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("seed.rs");
    if let Err(error) = fs::write(&out, seed.unwrap_or_default()) {
        println!("cargo::error={}: {error}", out.display());
    }
}

/// Where the standard library of the target lies.
fn library() -> Option<PathBuf> {
    let target = env::var("TARGET").ok()?;
    let output =
        Command::new(env::var_os("RUSTC")?).args(["--print", "target-libdir", "--target", &target]).output().ok()?;
    Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
}

/// The mangled name that ends in [`SYMBOL`] and a number, in the archives of `folder`.
fn find(folder: &Path) -> Option<String> {
    let archives = fs::read_dir(folder).ok()?.flatten().map(|it| it.path());
    archives.filter(|it| it.extension().is_some_and(|it| it == "rlib")).find_map(|archive| {
        let bytes = fs::read(archive).ok()?;
        let at = bytes.windows(SYMBOL.len()).position(|window| window == SYMBOL)?;
        // Names stand in the archive one behind the other, with nothing between.
        let begin = bytes[..at].windows(2).rposition(|it| it == b"_R")?;
        let end = at + SYMBOL.len();
        let digits = bytes[end..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let name = str::from_utf8(&bytes[begin..end + digits]).ok()?;
        (digits > 0 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')).then(|| name.to_owned())
    })
}

/// From wit-bindgen's bindings for `wasi:random/insecure-seed`.
const SYMBOL: &[u8] = b"6random13insecure_seed13insecure_seed11wit_import";
