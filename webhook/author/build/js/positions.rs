//! Which line of the author's files a line of the built script was made of, as a table that costs nothing to look up.

use serde::Deserialize;

use crate::author::build::BuildError;

/// The files, and where a run of lines begins: a line of the script, a file and the line in it; lines after it go on one by one.
pub(super) struct Positions {
    files: Vec<String>,
    runs: Vec<[i64; 3]>,
}

impl Positions {
    pub(super) fn read(source_map: &[u8]) -> Result<Self, BuildError> {
        let bad = |words: String| BuildError::NotAPolicy(format!("esbuild wrote no source map: {words}"));
        let map: SourceMap = serde_json::from_slice(source_map).map_err(|error| bad(error.to_string()))?;
        let runs = runs(&map.mappings).ok_or_else(|| bad("its mappings cannot be read".to_owned()))?;
        // They are relative to the folder that it was built in.
        let files = map.sources.iter().map(|it| it.trim_start_matches("../").to_owned()).collect();
        Ok(Self { files, runs })
    }

    /// The statement that gives the SDK its table.
    pub(super) fn statement(&self) -> String {
        let table = serde_json::json!({"files": self.files, "runs": self.runs});
        format!("globalThis.verdictPositions = {table};\n")
    }

    /// The text with the author's files and lines instead of the script's.
    pub(super) fn original(&self, text: &str) -> String {
        let mut parts = text.split(SCRIPT);
        let mut told = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let place = &part[..part.find(|it: char| !it.is_ascii_digit() && it != ':').unwrap_or(part.len())];
            let row = place.split(':').next().and_then(|it| it.parse::<i64>().ok());
            match row.and_then(|row| self.find(row - 1)) {
                Some((file, line)) => {
                    told += &format!("{file}:{}", line + 1);
                    // The column is the script's.
                    let rest = &part[place.trim_end_matches(':').len()..];
                    told += rest;
                }
                None => told += &format!("{SCRIPT}{part}"),
            }
        }
        told
    }

    fn find(&self, row: i64) -> Option<(&str, i64)> {
        let [at, file, line] = self.runs.iter().rev().find(|[at, ..]| *at <= row)?;
        Some((self.files.get(usize::try_from(*file).ok()?)?, line + row - at))
    }
}

/// The script, as QuickJS calls it in a stack.
const SCRIPT: &str = "componentize-qjs:user.js:";

/// A source map of version 3.
#[derive(Deserialize)]
struct SourceMap {
    sources: Vec<String>,
    mappings: String,
}

/// By the first segment of each line: what esbuild does not minify has one statement in a line.
fn runs(mappings: &str) -> Option<Vec<[i64; 3]>> {
    let (mut file, mut line) = (0, 0);
    let mut runs: Vec<[i64; 3]> = Vec::new();
    for (row, segments) in (0..).zip(mappings.split(';')) {
        let mut first = None;
        for segment in segments.split(',').filter(|it| !it.is_empty()) {
            // Column, file, line, column: each the distance to the one before.
            if let [_, files, lines, ..] = *numbers(segment)? {
                file += files;
                line += lines;
                first.get_or_insert((file, line));
            }
        }
        let Some((file, line)) = first else { continue };
        let goes_on = runs.last().is_some_and(|[at, of, from]| *of == file && line - from == row - at);
        if !goes_on {
            runs.push([row, file, line]);
        }
    }
    Some(runs)
}

/// Base64 VLQ: five bits in a digit, the lowest first, and one that says that more follow; the lowest bit of all is the sign.
fn numbers(segment: &str) -> Option<Vec<i64>> {
    let mut all = Vec::new();
    let (mut value, mut shift) = (0_i64, 0);
    for digit in segment.bytes() {
        let bits = i64::try_from(DIGITS.iter().position(|it| *it == digit)?).ok()?;
        value |= (bits & 31).checked_shl(shift)?;
        shift += 5;
        if bits & 32 == 0 {
            all.push(if value & 1 == 1 { -(value >> 1) } else { value >> 1 });
            (value, shift) = (0, 0);
        }
    }
    Some(all)
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read() {
        assert_eq!(numbers("AAgBC").unwrap(), [0, 0, 16, 1]);
        assert_eq!(numbers("D").unwrap(), [-1]);
        assert!(numbers("A!").is_none());
    }

    #[test]
    fn lines_that_go_on_are_one_run() {
        let map = br#"{"version":3,"sources":["../../../a.js","../b.js"],"mappings":";AAAA,CAAC;AACA;;AAEA;ACAA"}"#;
        let positions = Positions::read(map).unwrap();
        assert_eq!(
            positions.statement(),
            "globalThis.verdictPositions = {\"files\":[\"a.js\",\"b.js\"],\"runs\":[[1,0,0],[5,1,3]]};\n"
        );
        let stack = "Error: x\n    at f (componentize-qjs:user.js:3:14)\n    at componentize-qjs:user.js:7: y";
        assert_eq!(positions.original(stack), "Error: x\n    at f (a.js:2)\n    at b.js:5: y");
    }
}
