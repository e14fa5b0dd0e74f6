//! The CustomResourceDefinitions: those of the chart are those of the program, which applies them before an upgrade.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Value, json};

use super::{CHART, RELEASE, chart_file, cluster, documents, helm, run};
use crate::support::{control_plane::Output, verdict};

#[test]
fn those_of_the_chart_are_what_the_program_prints() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, error) = verdict::verdict(&["manifests", "crds", "--out", folder.path().to_str().unwrap()]);
    assert_eq!(code, 0, "{error}");
    let again = "run: verdict manifests crds --out manifests/chart/crds";
    let (printed, kept) = (files(folder.path()), files(&Path::new(CHART).join("crds")));
    assert_eq!(printed.keys().collect::<Vec<_>>(), kept.keys().collect::<Vec<_>>(), "{again}");
    for (name, text) in printed {
        assert!(text == kept[&name], "{name} differs: {again}");
    }
}

#[test]
fn the_chart_knows_every_kind() {
    let listed = chart_file("templates/_kinds.tpl");
    for name in files(&Path::new(CHART).join("crds")).keys() {
        let plural = name.split('.').next().unwrap();
        let is_listed = listed.lines().any(|line| line.split(' ').any(|it| it == plural));
        // Replicas are no policies: the server writes them.
        assert!(is_listed || plural == "replicas", "templates/_kinds.tpl lacks {plural}");
    }
}

#[test]
fn the_version_is_the_programs() {
    let chart = &documents(&chart_file("Chart.yaml"))[0];
    for field in ["version", "appVersion"] {
        assert_eq!(chart[field], env!("CARGO_PKG_VERSION"), "{field}");
    }
}

#[test]
fn the_job_before_an_upgrade_brings_newer_ones_with_the_rights_that_it_has() {
    let (Some(helm), Some(cluster)) = (helm(), cluster()) else { return };
    let plane = &cluster.plane;
    let name = "validators.verdict.dev";
    let kept = |wanted: &str| plane.kubectl(&["get", "customresourcedefinition", name, "-o", wanted]);
    let short: fn(Output) -> Value = |it| serde_json::from_str(&it.ok()).unwrap();
    let newest = short(kept("json"))["spec"].clone();
    // As an older release left it, and one that a user deleted.
    let old = json!([
        {"op": "remove", "path": "/spec/versions/0/additionalPrinterColumns"},
        {"op": "remove", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/message"},
    ]);
    plane.kubectl(&["patch", "customresourcedefinition", name, "--type=json", "-p", &old.to_string()]).ok();
    plane.kubectl(&["label", "customresourcedefinition", name, "team=platform"]).ok();
    plane.kubectl(&["delete", "customresourcedefinition", "providers.verdict.dev"]).ok();

    let rights = of_job(&helm.render(&[]).unwrap(), "verdict-crds");
    plane.kubectl_with(&["apply", "--namespace", RELEASE, "-f", "-"], &rights).ok();
    let printed = run(cluster, "verdict-crds", &["manifests", "crds", "--apply"]).unwrap();
    assert!(printed.contains("applied validators.verdict.dev\n"), "{printed}");
    assert_eq!(short(kept("json"))["spec"], newest);
    assert_eq!(short(kept("json"))["metadata"]["labels"]["team"], "platform");
    plane.kubectl(&["get", "providers.verdict.dev"]).ok();
    // Once more changes nothing.
    let version = kept("jsonpath={.metadata.resourceVersion}").ok();
    run(cluster, "verdict-crds", &["manifests", "crds", "--apply"]).unwrap();
    assert_eq!(kept("jsonpath={.metadata.resourceVersion}").ok(), version);

    plane.kubectl(&["create", "serviceaccount", "nobody", "--namespace", RELEASE]).ok();
    let refused = run(cluster, "nobody", &["manifests", "crds", "--apply"]).unwrap_err();
    assert!(refused.contains("validators.verdict.dev") && refused.contains("nobody"), "{refused}");
}

/// The objects of a Job that stand beside it.
fn of_job(rendered: &str, name: &str) -> String {
    let all = documents(rendered);
    let its = all.iter().filter(|it| it["metadata"]["name"] == name && it["kind"] != "Job");
    its.map(|it| format!("---\n{it}\n")).collect()
}

fn files(folder: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())
        })
        .collect()
}
