//! Reviews, objects and events as people keep them: files with one or several documents, of YAML or JSON.

use std::path::{Path, PathBuf};

use serde_json::value::RawValue;

use super::read;
use crate::config::yaml;

/// One document.
pub(super) struct Document {
    /// The file, with the document's number where it has several.
    pub(super) name: String,
    /// As JSON; as it came, if it came so.
    pub(super) json: String,
}

/// All documents of all files, in their order; `-` is standard input.
///
/// # Errors
/// What is wrong in each file, with the place: a line each.
pub(super) fn documents(files: &[PathBuf]) -> Result<Vec<Document>, String> {
    let (mut all, mut wrong) = (Vec::new(), Vec::new());
    for file in files {
        let name = if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() };
        let text = match read(file) {
            Ok(text) => text,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        match parse(&text) {
            Ok(found) if found.is_empty() => wrong.push(format!("{name}: it is empty")),
            Ok(found) => {
                let several = found.len() > 1;
                all.extend(found.into_iter().enumerate().map(|(at, json)| Document {
                    name: if several { format!("{name}, document {}", at + 1) } else { name.clone() },
                    json,
                }));
            }
            Err(words) => wrong.extend(words.into_iter().map(|it| format!("{name}: {it}"))),
        }
    }
    if wrong.is_empty() { Ok(all) } else { Err(wrong.join("\n")) }
}

/// JSON documents, one after the other as kubectl takes them, or those of YAML.
fn parse(text: &str) -> Result<Vec<String>, Vec<String>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let values: Result<Vec<Box<RawValue>>, _> = serde_json::Deserializer::from_str(text).into_iter().collect();
    let not_json = match values {
        Ok(values) => return Ok(values.into_iter().map(|it| it.get().to_owned()).collect()),
        Err(error) => error,
    };
    let (mut all, mut wrong) = (Vec::new(), Vec::new());
    for document in yaml::documents(text) {
        match document {
            Ok(node) => all.push(node.json().to_string()),
            Err(problems) => wrong.extend(problems),
        }
    }
    if wrong.is_empty() {
        return Ok(all);
    }
    // What begins like JSON was meant as JSON, and its own words fit better.
    if text.trim_start().starts_with(['{', '[']) {
        return Err(vec![format!("it is not JSON: {not_json}")]);
    }
    Err(wrong.into_iter().map(|it| format!("line {}: {}", it.line, it.message)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_come_one_after_the_other() {
        for (text, expected) in [
            ("{\"a\": 1.0}", &["{\"a\": 1.0}"][..]),
            (" {\"a\": 1}\n{\"b\": 2}\n", &["{\"a\": 1}", "{\"b\": 2}"]),
            ("---\na: 1\n---\n# nothing\n---\nb: [x]\n", &["{\"a\":1}", "{\"b\":[\"x\"]}"]),
            ("{a: 1}", &["{\"a\":1}"]),
            ("# nothing\n", &[]),
            ("", &[]),
        ] {
            assert_eq!(parse(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_broken_is_told_with_its_place() {
        for (text, expected) in [
            (
                "{\"kind\": \"AdmissionReview\",\n \"request\": {",
                "it is not JSON: EOF while parsing an object at line 2 column 13",
            ),
            ("{\"a\": 1}\n{\"b\" 2}", "it is not JSON: expected `:` at line 2 column 6"),
            ("a: 1\nb: [1, 2\nc: 3\n", "line 3: "),
            ("a: 1\n---\nb: 1\nb: 2\n", "line 4: the key \"b\" is listed twice"),
        ] {
            let wrong = parse(text).unwrap_err();
            assert!(wrong.len() == 1 && wrong[0].starts_with(expected), "{text}: {wrong:?}");
        }
    }
}
