//! `verdict apply` and `verdict delete`: objects of files, registered with a running server or taken away from it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    Ended, Failed,
    client::{Asker, ServerArgs},
    documents::documents,
    get::{kind, name, path},
    runtime, terminal,
};
use crate::{
    config,
    spec::{Digest, Kind, declared::AUTHOR_API_VERSION},
};

/// Every object is tried, whatever happens to the others; the exit code is 1 if one of them is refused. The component that `component.path` names
/// is sent along.
#[derive(clap::Args)]
pub(super) struct Args {
    /// A file or folder of objects; - is standard input. Repeatable.
    #[arg(short, long, required = true, value_name = "PATH")]
    file: Vec<PathBuf>,
    /// Do everything but change what serves.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Only what was registered can be taken away, not what files of the server declare.
#[derive(clap::Args)]
pub(super) struct DeleteArgs {
    /// A file or folder of objects, of which the names count; - is standard input. Repeatable.
    #[arg(short, long, value_name = "PATH", required_unless_present = "kind", conflicts_with = "kind")]
    file: Vec<PathBuf>,
    /// A kind, such as validator.
    #[arg(value_parser = kind, requires = "name")]
    kind: Option<Kind>,
    /// The name of an object.
    #[arg(value_parser = name)]
    name: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

/// One object of a file.
struct Object {
    /// For messages: where it stands.
    place: String,
    folder: PathBuf,
    kind: Kind,
    name: String,
    json: Value,
}

pub(super) fn run(args: &Args) -> Result<Ended, Failed> {
    let asker = args.server.asker()?;
    let query = if args.dry_run { "?dryRun=true" } else { "" };
    let note = if args.dry_run { " (dry run)" } else { "" };
    each(&args.file, async |object| {
        let (content_type, body) = body(&object)?;
        let path = path(object.kind, &object.name) + query;
        let said = asker.ask(Method::PUT, &path, Some((&content_type, body))).await;
        let said = said.map_err(|error| format!("{error:#}"))?;
        let word = if said.status == StatusCode::CREATED { "registered" } else { "changed" };
        said.good().map(|_| format!("{word} {} {}{note}", object.kind, object.name))
    })
}

pub(super) fn delete(args: &DeleteArgs) -> Result<Ended, Failed> {
    let asker = args.server.asker()?;
    if let Some((kind, name)) = args.kind.zip(args.name.as_deref()) {
        return match runtime()?.block_on(gone(&asker, kind, name)) {
            Ok(words) => {
                terminal::print(&words);
                Ok(Ended::Done)
            }
            Err(words) => {
                terminal::tell(&words);
                Ok(Ended::No)
            }
        };
    }
    each(&args.file, async |object| gone(&asker, object.kind, &object.name).await)
}

async fn gone(asker: &Asker, kind: Kind, name: &str) -> Result<String, String> {
    let said = asker.ask(Method::DELETE, &path(kind, name), None).await.map_err(|error| format!("{error:#}"))?;
    said.good().map(|_| format!("deleted {kind} {name}"))
}

/// Does it with every object, and prints what comes of each.
fn each(paths: &[PathBuf], does: impl AsyncFn(Object) -> Result<String, String>) -> Result<Ended, Failed> {
    let (mut all, mut ended) = (Vec::new(), Ended::Done);
    for found in objects(paths)? {
        match found {
            Ok(object) => all.push(object),
            Err(words) => {
                terminal::tell(&words);
                ended = Ended::No;
            }
        }
    }
    runtime()?.block_on(async {
        for object in all {
            let named = format!("{}: {} {}", object.place, object.kind, object.name);
            match does(object).await {
                Ok(words) => terminal::print(&words),
                Err(words) => {
                    for line in words.lines() {
                        terminal::tell(&format!("{named}: {line}"));
                    }
                    ended = Ended::No;
                }
            }
        }
    });
    Ok(ended)
}

/// The objects of files and folders, each by itself.
fn objects(paths: &[PathBuf]) -> Result<Vec<Result<Object, String>>, Failed> {
    let mut all = Vec::new();
    for path in paths {
        let files = if path == Path::new("-") {
            vec![path.clone()]
        } else {
            let words =
                || Failed::configuration(format!("{}: it cannot be read, or holds no file of objects", path.display()));
            config::files(std::slice::from_ref(path)).ok_or_else(words)?
        };
        for file in files {
            let folder = file.parent().unwrap_or(Path::new("")).to_owned();
            match documents(std::slice::from_ref(&file)) {
                Ok(found) => all.extend(found.into_iter().filter_map(|it| object(it.name, &it.json, &folder))),
                Err(words) => all.push(Err(words)),
            }
        }
    }
    Ok(all)
}

/// None: it is of an author's tools.
fn object(place: String, text: &str, folder: &Path) -> Option<Result<Object, String>> {
    let parsed = serde_json::from_str::<Value>(text);
    let json = match parsed {
        Ok(json) if json["apiVersion"] == AUTHOR_API_VERSION => return None,
        Ok(json) => json,
        Err(error) => return Some(Err(format!("{place}: {error}"))),
    };
    let found = json["kind"].as_str().ok_or_else(|| "kind: is required".to_owned()).and_then(kind);
    let named = json["metadata"]["name"].as_str().ok_or_else(|| "metadata.name: is required".to_owned()).and_then(name);
    let folder = folder.to_owned();
    Some(match (found, named) {
        (Ok(kind), Ok(name)) => Ok(Object { place, folder, kind, name, json }),
        (Err(words), _) | (_, Err(words)) => Err(format!("{place}: {words}")),
    })
}

/// The object with the components that lie beside it, as one body and its type.
fn body(object: &Object) -> Result<(String, Bytes), String> {
    let mut json = object.json.clone();
    let mut components = Vec::new();
    let spec = &mut json["spec"];
    if spec.get("component").is_some() {
        send_along(&mut spec["component"], &object.folder, &mut components)?;
    }
    for member in spec.get_mut("members").and_then(Value::as_array_mut).into_iter().flatten() {
        if member.get("component").is_some() {
            send_along(&mut member["component"], &object.folder, &mut components)?;
        }
    }
    if components.is_empty() {
        return Ok(("application/json".to_owned(), json.to_string().into()));
    }
    let boundary = format!("verdict-{:032x}", rand::random::<u128>());
    let mut body = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"object\"\r\nContent-Type: application/json\r\n\r\n{json}\r\n").into_bytes();
    for component in components {
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"component\"; filename=\"component.wasm\"\r\nContent-Type: application/wasm\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(&component);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Ok((format!("multipart/form-data; boundary={boundary}"), body.into()))
}

/// In place of the path of a file, its digest.
fn send_along(component: &mut Value, folder: &Path, components: &mut Vec<Vec<u8>>) -> Result<(), String> {
    let Some(file) = component["path"].as_str().map(|it| folder.join(it)) else { return Ok(()) };
    let bytes = fs::read(&file).with_context(|| file.display().to_string()).map_err(|error| format!("{error:#}"))?;
    let digest = Digest(Sha256::digest(&bytes).into()).to_string();
    if let Some(pinned) = component["sha256"].as_str().filter(|it| *it != digest) {
        return Err(format!("{}: its digest is sha256:{digest}, but the policy pins sha256:{pinned}", file.display()));
    }
    *component = json!({"sha256": digest});
    if !components.contains(&bytes) {
        components.push(bytes);
    }
    Ok(())
}
