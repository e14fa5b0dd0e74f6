//! Compiles the built-in policies, every folder of `policies/` but the SDK and the fixtures, and writes the table of them;
//! and a table of the files that `verdict new` and `verdict build` write into an author's folder.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let policies = root.join("policies");
    let target = out.join("policies");
    let packages = packages(&policies)?;

    // First of all: nobody should wait minutes for the server's own code, to be told this.
    ensure_target(&policies)?;

    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=wit");
    // Never the folder itself: an author's cargo writes its target folder there.
    for file in ["Cargo.toml", "Cargo.lock", ".cargo/config.toml", "sdk/src", "sdk/build.rs", "sdk/Cargo.toml"] {
        println!("cargo::rerun-if-changed=policies/{file}");
    }
    for package in &packages {
        println!("cargo::rerun-if-changed=policies/{package}/src");
        for file in ["Cargo.toml", MANIFEST, "settings.schema.json"] {
            let path = policies.join(package).join(file);
            if path.is_file() {
                println!("cargo::rerun-if-changed={}", path.display());
            }
        }
    }

    compile(&policies, &target, &packages)?;
    fs::write(out.join("builtin.rs"), table(&policies, &target, &out, &packages)?)?;
    fs::write(out.join("embedded.rs"), embedded(&root)?)?;
    Ok(())
}

/// What authors get from the binary: the contract, the SDKs and the templates.
fn embedded(root: &Path) -> Result<String, Box<dyn Error>> {
    let mut tables = String::new();
    for (name, folder) in [
        ("WIT", "wit"),
        ("SDK_RUST", "policies/sdk"),
        ("SDK_GO", "policies/sdk-go"),
        ("SDK_JS", "policies/sdk-js"),
        ("SDK_PYTHON", "policies/sdk-python"),
        ("TEMPLATES", "policies/templates"),
    ] {
        let folder = root.join(folder);
        let mut files = Vec::new();
        if folder.is_dir() {
            list(&folder, &mut files)?;
        }
        files.sort();
        writeln!(tables, "pub(crate) static {name}: &[File] = &[")?;
        for file in files {
            println!("cargo::rerun-if-changed={}", file.display());
            let path = file.strip_prefix(&folder)?.to_str().ok_or("a path that is not UTF-8")?;
            writeln!(tables, "    File {{ path: {path:?}, bytes: include_bytes!({file:?}) }},")?;
        }
        tables.push_str("];\n");
    }
    // New files in them.
    println!("cargo::rerun-if-changed=policies/templates");
    Ok(tables)
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // What tools leave behind.
        if name.starts_with('.') || ["target", "node_modules", "__pycache__"].contains(&name.as_str()) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            list(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// The names of the folders that are one.
fn packages(policies: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut packages = Vec::new();
    for entry in fs::read_dir(policies)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name != "sdk" && entry.path().join("Cargo.toml").is_file() {
            packages.push(name);
        }
    }
    packages.sort();
    Ok(packages)
}

/// The policies need a target that a plain toolchain does not have: asks rustup for it where it is missing.
fn ensure_target(policies: &Path) -> Result<(), Box<dyn Error>> {
    let rustc = env::var("RUSTC")?;
    let libraries = || -> Result<PathBuf, Box<dyn Error>> {
        let mut command = Command::new(&rustc);
        let output = command.current_dir(policies).args(["--print", "target-libdir", "--target", TARGET]).output()?;
        Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
    };
    if libraries()?.is_dir() {
        return Ok(());
    }
    println!("cargo::warning=the policies need Rust's target {TARGET}: asking rustup for it");
    // In the folder of `rust-toolchain.toml`, or by RUSTUP_TOOLCHAIN where that is set: the toolchain of this build.
    let added = Command::new("rustup").current_dir(policies).args(["target", "add", TARGET]).output();
    let words = match added {
        Ok(output) if output.status.success() && libraries()?.is_dir() => return Ok(()),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => format!("rustup: {error}"),
    };
    println!(
        "cargo::error=the policies need Rust's target {TARGET}, and rustup did not install it: run `rustup toolchain install` in this folder"
    );
    Err(words.into())
}

fn compile(policies: &Path, target: &Path, packages: &[String]) -> Result<(), Box<dyn Error>> {
    let mut cargo = Command::new(env::var("CARGO")?);
    cargo
        .current_dir(policies)
        .args(["build", "--release", "--locked", "--target", TARGET, "--target-dir"])
        .arg(target);
    for package in packages {
        cargo.args(["--package", package]);
    }
    // What was set for the host would change the guests, or let this build wait for itself.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let inherited = ["CARGO_HOME", "CARGO_HTTP", "CARGO_NET", "CARGO_REGISTRIES", "CARGO_REGISTRY", "CARGO_SOURCE"];
        let of_cargo = text.starts_with("CARGO_") && !inherited.iter().any(|kept| text.starts_with(kept));
        let of_rustc = (text.starts_with("RUSTC") || text.starts_with("RUSTFLAGS")) && text != "RUSTC_BOOTSTRAP";
        let others = [
            "CLIPPY_ARGS",
            "CLIPPY_CONF_DIR",
            "RUSTDOCFLAGS",
            "MAKEFLAGS",
            "TARGET",
            "HOST",
            "OPT_LEVEL",
            "PROFILE",
            "DEBUG",
        ];
        if of_cargo || of_rustc || others.contains(&&*text) {
            cargo.env_remove(name);
        }
    }
    let output = cargo.output()?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(format!("the policies in {} do not compile:\n{words}", policies.display()).into())
}

fn table(policies: &Path, target: &Path, out: &Path, packages: &[String]) -> Result<String, Box<dyn Error>> {
    let mut table = "const ALL: &[Builtin] = &[\n".to_owned();
    for name in packages {
        let file = format!("{}.wasm", name.replace('-', "_"));
        let mut component = fs::read(target.join(TARGET).join("release").join(&file))?;
        let folder = policies.join(name);
        let manifest = manifest(&folder).map_err(|error| format!("{}: {error}", folder.join(MANIFEST).display()))?;
        component.extend(section("verdict:manifest", manifest.to_string().as_bytes()));
        let component_with = out.join(file);
        fs::write(&component_with, component)?;
        writeln!(table, "    Builtin {{ name: {name:?}, component: include_bytes!({component_with:?}) }},")?;
    }
    table.push_str("];\n");
    Ok(table)
}

/// What `verdict build` makes of the file, which a unit test compares; the server's own code that checks it is not compiled yet.
fn manifest(folder: &Path) -> Result<Value, Box<dyn Error>> {
    let mut manifest: Value = serde_saphyr::from_str(&fs::read_to_string(folder.join(MANIFEST))?)?;
    let fields = manifest.as_object_mut().ok_or("expected a mapping")?;
    fields.remove("apiVersion");
    fields.remove("kind");
    if let Some(Value::String(file)) = fields.get("settings") {
        let schema = serde_json::from_str(&fs::read_to_string(folder.join(file))?)?;
        fields.insert("settings".to_owned(), schema);
    }
    Ok(manifest)
}

/// A custom section, as it stands in Wasm.
fn section(name: &str, content: &[u8]) -> Vec<u8> {
    let name = [length(name.len()), name.as_bytes().to_vec()].concat();
    [vec![0], length(name.len() + content.len()), name, content.to_vec()].concat()
}

/// A number in unsigned LEB128.
fn length(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

const MANIFEST: &str = "verdict.yaml";
const TARGET: &str = "wasm32-wasip2";
