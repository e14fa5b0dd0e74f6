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
        println!("cargo::rerun-if-changed=policies/{}/src", package.name);
        println!("cargo::rerun-if-changed=policies/{}/Cargo.toml", package.name);
    }

    compile(&policies, &target, &packages)?;
    fs::write(out.join("builtin.rs"), table(&target, &packages)?)?;
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

struct Package {
    name: String,
    description: String,
}

fn packages(policies: &Path) -> Result<Vec<Package>, Box<dyn Error>> {
    let mut packages = Vec::new();
    for entry in fs::read_dir(policies)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let manifest = entry.path().join("Cargo.toml");
        if name == "sdk" || !manifest.is_file() {
            continue;
        }
        let text = fs::read_to_string(&manifest)?;
        let description = text
            .lines()
            .find_map(|line| line.strip_prefix("description = \"")?.strip_suffix('"'))
            .ok_or_else(|| format!("{}: expected a line description = \"…\"", manifest.display()))?;
        packages.push(Package { name, description: description.to_owned() });
    }
    packages.sort_by(|one, other| one.name.cmp(&other.name));
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

fn compile(policies: &Path, target: &Path, packages: &[Package]) -> Result<(), Box<dyn Error>> {
    let mut cargo = Command::new(env::var("CARGO")?);
    cargo
        .current_dir(policies)
        .args(["build", "--release", "--locked", "--target", TARGET, "--target-dir"])
        .arg(target);
    for package in packages {
        cargo.args(["--package", &package.name]);
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

fn table(target: &Path, packages: &[Package]) -> Result<String, Box<dyn Error>> {
    let mut table = "const ALL: &[Builtin] = &[\n".to_owned();
    for Package { name, description } in packages {
        let component = target.join(TARGET).join("release").join(format!("{}.wasm", name.replace('-', "_")));
        writeln!(
            table,
            "    Builtin {{ name: {name:?}, description: {description:?}, component: include_bytes!({component:?}) }},"
        )?;
    }
    table.push_str("];\n");
    Ok(table)
}

const TARGET: &str = "wasm32-wasip2";
