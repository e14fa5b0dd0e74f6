//! Text of guests that would be more than text: lines of the log, fields of them, other words on a terminal.

use std::{collections::BTreeMap, fs};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use verdict::text::is_hostile;

use crate::support::{
    fixtures,
    host::{access, config_map, misbehaving, token},
    http, kinds,
    pki::Pki,
    verdict::{Verdict, verdict},
};

/// Every place where guests' text goes: denials that are enforced, warned of and recorded, rejections, reasons, errors.
fn policies() -> String {
    let policies = [
        misbehaving("enforced", "forge", ""),
        misbehaving("recorded", "forge", "  validationActions: [Audit]").replace("$FIXTURE", "$ADMISSION"),
        misbehaving("warned", "forge", "  validationActions: [Warn]").replace("$FIXTURE", "$ADMISSION"),
        misbehaving("granted", "forge", "  order: 1\n  grants: {log: true}"),
    ]
    .concat();
    let (all, admission) = (fixtures::misbehaving(""), fixtures::misbehaving("admission"));
    let policies = policies.replace("$FIXTURE", all.to_str().unwrap());
    kinds::every(&policies.replace("$ADMISSION", admission.to_str().unwrap()))
}

/// An object none of whose keys comes twice.
struct Unique(BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Unique;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
                let mut found = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    if found.insert(key.clone(), value).is_some() {
                        return Err(serde::de::Error::custom(format!("the key {key} comes twice")));
                    }
                }
                Ok(Unique(found))
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

#[test]
fn no_guest_forges_lines_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(folder.path());
    let verdict = Verdict::serve(&pki, folder.path(), &policies(), &[]);
    let reviews = [
        ("/validate", config_map("u")),
        ("/mutate", config_map("u")),
        ("/authenticate/granted", token("t")),
        ("/authorize/granted", access()),
        ("/events/granted", serde_json::json!({})),
    ];
    for (path, review) in &reviews {
        let url = format!("https://{}{path}", verdict.https);
        let (_, answer) = http::post(&url, review.to_string(), &pki, Some(&verdict.client)).unwrap();
        // What users see is without them as well; what was escaped in JSON is there when it is read.
        let answer: Value = serde_json::from_str(&answer).unwrap();
        for text in texts(&answer) {
            assert!(!text.contains(|it| it != '\n' && is_hostile(it)), "{path}: {text:?}");
        }
    }
    let log = fs::read_to_string(folder.path().join("verdict.log")).unwrap();
    assert!(!log.contains(|it| it != '\n' && is_hostile(it)), "{log:?}");
    let events: Vec<Unique> =
        log.lines().map(|it| serde_json::from_str(it).unwrap_or_else(|error| panic!("{error}: {it}"))).collect();
    let recorded = events.iter().filter(|it| it.0.get("message") == Some(&"denied".into()));
    let recorded: Vec<&Value> = recorded.map(|it| &it.0["denial"]).collect();
    assert_eq!(recorded.len(), 1, "{log}");
    assert!(recorded.iter().all(|it| it.as_str().unwrap().starts_with("forged\\n2026")), "{recorded:?}");
    for event in &events {
        assert_ne!(event.0.get("policy"), Some(&"other".into()), "{log}");
        assert_ne!(event.0.get("message"), Some(&"trusted".into()), "{log}");
    }
}

/// As people have it, in a terminal.
#[test]
fn no_guest_forges_lines_on_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let policies = write("policies.yaml", &policies());
    for (name, review) in [("admission", config_map("u")), ("token", token("t")), ("access", access())] {
        let review = write(name, &review.to_string());
        let (_, out, error) = verdict(&["review", &policies, &review, "--explain"]);
        for text in [&out, &error] {
            assert!(!text.contains(|it| it != '\n' && is_hostile(it)), "{name}: {text:?}");
        }
        assert!(serde_json::Deserializer::from_str(&out).into_iter::<Value>().all(|it| it.is_ok()), "{out}");
        assert!(error.contains("forged"), "{name}: {error}");
        for line in error.lines() {
            let is_event = line.get(20..).is_some_and(|it| it.contains("Z  INFO ") || it.contains("Z  WARN "));
            let is_difference = line.starts_with(['+', '-', ' ', '@']);
            assert!(line.starts_with("verdict: ") || is_event || is_difference, "{name}: {line:?} in\n{error}");
            let event = line.split_once("Z ").map_or("", |(_, it)| it.trim_start());
            assert!(!event.starts_with("INFO audit: trusted"), "{line}");
            assert!(!line.contains(" policy=\"other\""), "{line}");
        }
    }
}

/// All texts in a value, keys too.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.iter().flat_map(|(key, it)| [vec![key.as_str()], texts(it)].concat()).collect(),
        _ => Vec::new(),
    }
}
