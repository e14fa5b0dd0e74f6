//! What came of cases, for people, for programs and for CI systems. What guests wrote can neither drive a terminal nor
//! break a document.

use std::fmt::Write as _;

use serde_json::json;

use super::{Done, Mismatch, Results, text::pretty};
use crate::text::{self, line, lines};

/// As a test runner prints it.
pub fn text(results: &Results) -> String {
    let mut out = String::new();
    for done in &results.done {
        let word = if done.wrong.is_empty() { "ok    " } else { "FAILED" };
        let _ = writeln!(out, "{word}  {} ({})", title(done), milliseconds(done));
    }
    for done in results.done.iter().filter(|it| !it.wrong.is_empty()) {
        let _ = write!(out, "\n--- {}\n{}", title(done), details(done));
    }
    if !results.blessed.is_empty() || !results.notes.is_empty() {
        out.push('\n');
    }
    for path in &results.blessed {
        let _ = writeln!(out, "blessed  {}", line(&path.display().to_string()));
    }
    for note in &results.notes {
        let _ = writeln!(out, "note: {}", line(note));
    }
    let (passed, failed) = results.count();
    let _ = writeln!(out, "\n{passed} passed, {failed} failed");
    out
}

/// One object.
pub fn json(results: &Results) -> String {
    let (passed, failed) = results.count();
    let cases = results.done.iter().map(|done| {
        json!({
            "file": done.file.display().to_string(),
            "name": done.name,
            "passed": done.wrong.is_empty(),
            "seconds": done.took.as_secs_f64(),
            "memory": done.memory,
            "failures": done.wrong,
            "log": done.log.iter().map(|(policy, line)| {
                json!({"policy": policy, "level": line.level, "message": line.text})
            }).collect::<Vec<_>>(),
        })
    });
    let report = json!({
        "passed": passed,
        "failed": failed,
        "cases": cases.collect::<Vec<_>>(),
        "blessed": results.blessed.iter().map(|it| it.display().to_string()).collect::<Vec<_>>(),
        "notes": results.notes,
    });
    text::json(&pretty(&report)) + "\n"
}

/// JUnit's XML, as CI systems read it: a suite for each file.
pub fn junit(results: &Results) -> String {
    let (passed, failed) = results.count();
    let seconds = |done: &[&Done]| done.iter().map(|it| it.took.as_secs_f64()).sum::<f64>();
    let mut files: Vec<(String, Vec<&Done>)> = Vec::new();
    for done in &results.done {
        let file = done.file.display().to_string();
        match files.iter_mut().find(|(name, _)| *name == file) {
            Some((_, all)) => all.push(done),
            None => files.push((file, vec![done])),
        }
    }
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let all: Vec<&Done> = results.done.iter().collect();
    let _ = writeln!(
        out,
        "<testsuites name=\"verdict\" tests=\"{}\" failures=\"{failed}\" time=\"{:.6}\">",
        passed + failed,
        seconds(&all)
    );
    for (file, all) in &files {
        let failures = all.iter().filter(|it| !it.wrong.is_empty()).count();
        let file = xml(&line(file));
        let _ = writeln!(
            out,
            "  <testsuite name=\"{file}\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\" time=\"{:.6}\">",
            all.len(),
            seconds(all)
        );
        for done in all {
            let (name, time) = (xml(&line(&done.name)), done.took.as_secs_f64());
            let _ = write!(out, "    <testcase name=\"{name}\" classname=\"{file}\" time=\"{time:.6}\"");
            if done.wrong.is_empty() && done.log.is_empty() {
                out.push_str("/>\n");
                continue;
            }
            out.push_str(">\n");
            if let Some(first) = done.wrong.first() {
                let message = xml(&line(&brief(first)));
                let _ = writeln!(out, "      <failure message=\"{message}\">{}</failure>", xml(&details(done)));
            }
            if !done.log.is_empty() {
                let _ = writeln!(out, "      <system-out>{}</system-out>", xml(&log(done)));
            }
            out.push_str("    </testcase>\n");
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn title(done: &Done) -> String {
    let file = done.file.file_name().unwrap_or(done.file.as_os_str()).to_string_lossy();
    format!("{}: {}", line(&file), line(&done.name))
}

fn milliseconds(done: &Done) -> String {
    format!("{:.2} ms", done.took.as_secs_f64() * 1000.0)
}

fn brief(wrong: &Mismatch) -> String {
    match wrong.diff {
        Some(_) => format!("{}: not as expected", wrong.what),
        None => format!("{}: expected {}, got {}", wrong.what, wrong.expected, wrong.came),
    }
}

/// What was expected and what came, and what the policies logged.
fn details(done: &Done) -> String {
    let mut out = String::new();
    for wrong in &done.wrong {
        let what = line(&wrong.what);
        match &wrong.diff {
            Some(diff) => {
                if wrong.what == "asked twice" {
                    let _ = writeln!(out, "{what}: expected {}; {}", line(&wrong.expected), line(&wrong.came));
                } else {
                    let _ = writeln!(out, "{what}: - expected, + got");
                }
                out.push_str(&indented(&lines(diff)));
            }
            None => {
                let _ = writeln!(out, "{what}:\n  expected {}", hanging(&wrong.expected));
                let came = if wrong.came.is_empty() { "nothing" } else { &wrong.came };
                let _ = writeln!(out, "  got      {}", hanging(came));
            }
        }
    }
    if !done.log.is_empty() {
        let _ = write!(out, "log:\n{}", indented(&log(done)));
    }
    out
}

fn log(done: &Done) -> String {
    done.log.iter().fold(String::new(), |mut out, (policy, it)| {
        let _ = writeln!(out, "{:<5} {}: {}", it.level, line(policy), line(&it.text));
        out
    })
}

/// The lines after the first below the first.
fn hanging(text: &str) -> String {
    lines(text.trim_end()).replace('\n', "\n           ")
}

fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |out, it| out + "  " + it + "\n")
}

/// Text is without controls by now, but for line ends.
fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
