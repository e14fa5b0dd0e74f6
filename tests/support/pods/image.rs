//! An image of one program with the libraries that it asks for: what a test can run in a Pod without a static build.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Packs `program` as `name` (with its registry and tag) into an archive in `folder`, which is made.
pub(super) fn pack(folder: &Path, name: &str, program: &Path) -> PathBuf {
    let (root, layout) = (folder.join("root"), folder.join("layout"));
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs).expect("a writable folder");
    let file = Path::new("/").join(program.file_name().expect("a file"));
    put(program, &root, &file);
    for library in libraries(program) {
        put(&library, &root, &library);
    }
    let layer = folder.join("layer.tar");
    tar(&root, &layer);
    let bytes = fs::read(&layer).expect("a layer");
    let tag = name.rsplit_once(':').expect("a name with a tag").1;
    let layer = blob(&blobs, "layer.v1.tar", &bytes);
    let config = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        "config": {"Entrypoint": [file], "User": "65532:65532", "WorkingDir": "/"},
        // A layer that is not compressed has one digest.
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    });
    let config = blob(&blobs, "config.v1+json", config.to_string().as_bytes());
    let manifest =
        json!({"schemaVersion": 2, "mediaType": media_type("manifest.v1+json"), "config": config, "layers": [layer]});
    let mut manifest = blob(&blobs, "manifest.v1+json", manifest.to_string().as_bytes());
    manifest["annotations"] = json!({"io.containerd.image.name": name, "org.opencontainers.image.ref.name": tag});
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    fs::write(layout.join("index.json"), index.to_string()).expect("a writable folder");
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("a writable folder");
    let archive = folder.join("image.tar");
    tar(&layout, &archive);
    archive
}

fn put(file: &Path, root: &Path, place: &Path) {
    let place = root.join(place.strip_prefix("/").expect("an absolute path"));
    fs::create_dir_all(place.parent().expect("a file in a folder")).expect("a writable folder");
    fs::copy(file, &place).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}

/// The loader and the libraries, by the paths by which they are looked for; none of a static program.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(program).output().expect("ldd");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let paths = text.lines().filter_map(|line| line.split_whitespace().find(|it| it.starts_with('/')));
    paths.map(PathBuf::from).collect()
}

fn tar(folder: &Path, archive: &Path) {
    let mut line = Command::new("tar");
    line.args(["--owner=0", "--group=0", "-cf"]).arg(archive).arg("-C").arg(folder).arg(".");
    let status = line.status().expect("tar");
    assert!(status.success(), "tar: {status}");
}

/// What names it elsewhere.
fn blob(folder: &Path, kind: &str, bytes: &[u8]) -> Value {
    let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(folder.join(&digest), bytes).expect("a writable folder");
    json!({"mediaType": media_type(kind), "digest": format!("sha256:{digest}"), "size": bytes.len()})
}

fn media_type(kind: &str) -> String {
    format!("application/vnd.oci.image.{kind}")
}
