//! One component behind several kinds: `kind: Every` in the YAML of a test stands for one object of each kind that its component can be and
//! that has the fields which are written.

/// Each document with `kind: Every` once for each of its kinds.
pub fn every(yaml: &str) -> String {
    let documents = yaml.split("---\n").filter(|it| !it.trim().is_empty());
    documents.map(of_each_kind).collect()
}

fn of_each_kind(document: &str) -> String {
    let marks = ["kind: Every", "\"kind\":\"Every\""];
    let Some(mark) = marks.into_iter().find(|it| document.contains(it)) else { return format!("---\n{document}") };
    let kinds = kinds(document).iter().filter(|kind| fits(document, kind));
    let written: String =
        kinds.map(|kind| format!("---\n{}\n", document.replace(mark, &mark.replace("Every", kind)))).collect();
    assert!(!written.is_empty(), "no kind fits: {document}");
    written
}

/// What the component can be.
fn kinds(document: &str) -> &'static [&'static str] {
    let of: [(&[&str], &[&str]); 6] = [
        (&["$ADMISSION", "misbehaving_admission", "misbehaving-admission"], &["Validator", "Mutator"]),
        (&["$AUTHORIZATION", "authorization.wasm", "-authorizer", "namespace-groups"], &["Authorizer"]),
        (&["authentication.wasm", "-authenticator", "token-file"], &["Authenticator"]),
        (&["magic-mutator", "default-resources"], &["Mutator"]),
        (&["caesar-cipher", "app-config"], &["Provider"]),
        (&["$FIXTURE", "misbehaving.wasm", "misbehaving-"], ALL),
    ];
    let component = document.split("component").nth(1).and_then(|it| it.split('}').next()).unwrap_or(document);
    let found = of.into_iter().find(|(names, _)| names.iter().any(|it| component.contains(it)));
    found.map_or(&["Validator"], |(_, kinds)| kinds)
}

fn fits(document: &str, kind: &str) -> bool {
    let says = |field: &str, value: &str| {
        [format!(" {field}: {value}"), format!("\"{field}\":{value}")].iter().any(|it| document.contains(it.as_str()))
    };
    let only: [(&str, &str, &[&str]); 10] = [
        ("validationActions", "", &["Validator"]),
        ("shadow", "", &["Mutator", "Authorizer", "Authenticator", "Provider"]),
        ("failurePolicy", "", &["Validator", "Mutator", "Authorizer"]),
        ("failurePolicy", "Ignore", &["Validator", "Mutator"]),
        ("failurePolicy", "\"Ignore\"", &["Validator", "Mutator"]),
        ("limitPolicy", "", &["Validator", "Mutator"]),
        ("matchConstraints", "", &["Validator", "Mutator"]),
        ("matchConditions", "", &["Validator", "Mutator", "Authorizer", "Authenticator"]),
        ("instancePolicy", "", &["Validator", "Mutator", "Authorizer", "Provider"]),
        ("message", "", &["Validator", "Mutator", "Authorizer"]),
    ];
    let decides =
        ["NoOpinion", "Deny"].iter().any(|it| says("failurePolicy", it) || says("failurePolicy", &format!("\"{it}\"")));
    only.iter().all(|(field, value, kinds)| !says(field, value) || kinds.contains(&kind))
        && (!decides || kind == "Authorizer")
}

const ALL: &[&str] = &["Validator", "Mutator", "Authorizer", "Authenticator", "Provider"];
