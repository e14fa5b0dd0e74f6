//! Components in the layouts of other tools, pushed by another tool.

use std::fs;

use verdict::loader::builtin;

use super::{Place, labels, row, verdict};
use crate::registry::real::{say, tools};

const LAYER: &str = "application/vnd.wasm.content.layer.v1+wasm";
/// Names, and the types of their configs: kwctl's, and that of wasm-to-oci and oras.
const LAYOUTS: [(&str, &str); 2] =
    [("kwctl", "application/vnd.wasm.config.v1+json"), ("oras", "application/vnd.oci.image.config.v1+json")];

#[test]
fn what_others_push_is_served_and_kept() {
    let (Some(mut place), Some(tools)) = (Place::new(), tools()) else { return };
    let file = place.folder.path().join("labels.wasm");
    fs::write(&file, builtin::find("required-labels").unwrap().component).unwrap();
    let [kwctl, oras] = LAYOUTS
        .map(|(name, config)| (name, say(tools, &["push", &place.image(name), file.to_str().unwrap(), LAYER, config])));
    let index = say(tools, &["list", &place.image("index"), &place.image("kwctl")]);
    say(tools, &["list", &place.image("several"), &place.image("kwctl"), &place.image("oras")]);
    let all = [kwctl, oras, ("index", index)];
    let policy = |name: &str| labels(name, &format!("image: '{}'", place.image(name)), name);
    let policies: String = all.iter().map(|(name, _)| policy(name)).chain([policy("several")]).collect();

    let saved = place.folder.path().join("saved");
    let saved = saved.to_str().unwrap();
    let (code, _, error) = verdict(&["save", &place.image("index"), "--output", saved, &place.plain()]);
    assert_eq!(code, 0, "{error}");

    for round in ["fetched", "kept"] {
        let server = place.serve("cache", &policies, &[]);
        for (name, digest) in &all {
            let found = row(&server, name);
            assert_eq!(
                (&found["state"], found["imageDigest"].as_str()),
                (&"active".into(), Some(&**digest)),
                "{round}"
            );
            let words = format!("{name}: the label {name} is required");
            assert_eq!(place.says(&server, &format!("/validate/{name}")), words);
        }
        if round == "fetched" {
            let reason = row(&server, "several")["reason"].to_string();
            assert!(reason.contains("is an index of images for several platforms, not one component"), "{reason}");
        }
        place.registry = None;
    }
    // Moved to where there is no registry.
    let cache = format!("--cache-dir={}", place.folder.path().join("moved").display());
    let (code, _, error) = verdict(&["load", saved, &cache]);
    assert_eq!(code, 0, "{error}");
    let server = place.serve("moved", &labels("index", &format!("image: '{}'", place.image("index")), "index"), &[]);
    assert_eq!(row(&server, "index")["state"], "active");
}
