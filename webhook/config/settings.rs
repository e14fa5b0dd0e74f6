//! `spec.settings`, and over it what `spec.settingsFrom` finds in ConfigMaps and Secrets of a cluster. Of these no message repeats a word.

use serde_json::{Map, Value as Json};

use super::{
    document::Origin,
    fields::{Field, Report},
    refs::{ONLY_IN_A_CLUSTER, reference},
    yaml,
};

/// The settings of `run` as JSON; None: it has none.
pub(super) fn read(run: &Field<'_>, origin: &Origin<'_>, report: &mut Report<'_>) -> Option<String> {
    let own = run.at("settings").map(|it| it.node.json());
    let Some(from) = run.at("settingsFrom") else { return own.map(|it| it.to_string()) };
    let Origin::Cluster { values, .. } = origin else {
        from.error(report, ONLY_IN_A_CLUSTER);
        return None;
    };
    let mut settings = own.unwrap_or_else(|| Json::Object(Map::new()));
    for item in from.items() {
        let Some((reference, field)) = reference(&item) else { continue };
        let text = match values(&reference) {
            Ok(text) if text.len() > MAX_VALUE => {
                field.error(report, format!("it is larger than {MAX_VALUE} bytes"));
                continue;
            }
            Ok(text) => text,
            Err(why) => {
                field.error(report, why);
                continue;
            }
        };
        match item.at("path") {
            Some(path) => {
                if let Err(why) = put(&mut settings, path.words().unwrap_or_default(), text) {
                    path.error(report, why);
                }
            }
            None => match mapping(&text) {
                Some(over) => merge(&mut settings, over),
                None => {
                    field.error(report, "expected a mapping in YAML or JSON; or say with path where the text is put")
                }
            },
        }
    }
    let text = settings.to_string();
    if text.len() > MAX_SETTINGS {
        from.error(report, format!("all settings together have more than {MAX_SETTINGS} bytes"));
    }
    Some(text)
}

/// The one document that `text` is.
fn mapping(text: &str) -> Option<Json> {
    let mut documents = yaml::documents(text).into_iter();
    let (Some(Ok(node)), None) = (documents.next(), documents.next()) else { return None };
    Some(node.json()).filter(Json::is_object)
}

/// Depth is bounded, since that of both is.
fn merge(settings: &mut Json, over: Json) {
    match (settings, over) {
        (Json::Object(settings), Json::Object(over)) => {
            for (key, value) in over {
                merge(settings.entry(key).or_insert(Json::Null), value);
            }
        }
        (settings, over) => *settings = over,
    }
}

/// Puts `text` where `pointer` says.
fn put(settings: &mut Json, pointer: &str, text: String) -> Result<(), &'static str> {
    let mut at = settings;
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        if at.is_null() {
            *at = Json::Object(Map::new());
        }
        at = match at {
            Json::Object(fields) => fields.entry(part).or_insert(Json::Null),
            Json::Array(items) => {
                let index: Option<usize> = part.parse().ok();
                index.and_then(|it| items.get_mut(it)).ok_or("it leads to an item of a list that is not there")?
            }
            _ => return Err("it leads through a setting that is neither a mapping nor a list"),
        };
    }
    *at = text.into();
    Ok(())
}

/// Bytes of one value: more than a ConfigMap or a Secret can hold.
const MAX_VALUE: usize = 1 << 20;
/// Bytes of the settings of one component.
const MAX_SETTINGS: usize = 2 << 20;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn mappings_are_merged_and_all_else_is_replaced() {
        let mut settings = json!({"a": {"b": 1, "c": [1, 2]}, "d": "x", "e": null});
        merge(&mut settings, mapping("a: {c: [3], f: {g: 1}}\nd: {h: 1}\ne: {}\n").unwrap());
        assert_eq!(settings, json!({"a": {"b": 1, "c": [3], "f": {"g": 1}}, "d": {"h": 1}, "e": {}}));
    }

    #[test]
    fn a_text_is_put_where_the_pointer_says() {
        let mut settings = json!({"list": [{"a": 1}], "text": "x"});
        for pointer in ["/new/deep/er", "/list/0/a", "/a~1b/~01", "/text", "/"] {
            put(&mut settings, pointer, "5".to_owned()).unwrap();
        }
        let expected = json!({
            "new": {"deep": {"er": "5"}}, "list": [{"a": "5"}], "a/b": {"~1": "5"}, "text": "5", "": "5",
        });
        assert_eq!(settings, expected);
        for wrong in ["/text/below", "/list/1", "/list/-", "/list/a"] {
            assert!(put(&mut settings, wrong, "secret".to_owned()).is_err(), "{wrong}");
        }
        assert_eq!(settings, expected);
    }

    #[test]
    fn what_is_no_mapping_is_none() {
        for text in ["", "a", "[1]", "a: 1\n---\nb: 1", "a: [", "null", "5", "{a: 1, a: 2}"] {
            assert!(mapping(text).is_none(), "{text}");
        }
        assert_eq!(mapping("{\"a\": 1.10}").unwrap().to_string(), r#"{"a":1.10}"#);
    }
}
