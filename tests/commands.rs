//! The command line as data: each folder `tests/commands/<command>/<case>/` holds the files that an author or an operator has, and
//! `commands`, what is typed there: one command of the shell in each line, and lines with `#` that say why. `output.snap` beside
//! it holds all that each prints (standard output, then standard error) and its exit code.
//!
//! A case runs in a copy of its folder. In its commands and files `${policies}` stands for the folder `policies/` of this
//! repository, `${misbehaving}` and `${misbehaving-admission}` for the components of these fixtures, and `${modules}` for the folder
//! of the built guests of older protocols; the output has them again. Of a file `NAME.wat` the copy has what it says, as `NAME.wasm`. `[time]`, `[bytes]`, `[digest]`, `[line]`, `[functions]`
//! and `[folder]` stand for what is not the same every time, and `⟨U+001B⟩` for a character that would drive a terminal.
//!
//! `INSTA_UPDATE=always` writes the outputs, `INSTA_GLOB_FILTER='review/*/*'` picks cases.

use std::{fs, path::Path, process::Command};

use regex::Regex;
use walkdir::WalkDir;

use crate::support::fixtures;

#[test]
fn commands_print_what_is_kept() {
    for folder in WalkDir::new(ROOT).min_depth(2).max_depth(2) {
        let folder = folder.unwrap().into_path();
        assert!(folder.join("commands").is_file(), "{} lacks its commands", folder.display());
    }
    insta::glob!("commands", "*/*/commands", |path| {
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(path.parent().unwrap());
        settings.set_prepend_module_to_snapshot(false);
        settings.remove_snapshot_suffix();
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!("output", Case::copy(path.parent().unwrap()).output()));
    });
}

/// A copy of a case's folder, and what its placeholders stand for.
pub struct Case {
    folder: tempfile::TempDir,
    commands: String,
    names: Vec<(&'static str, String)>,
}

impl Case {
    /// The case `command/name`, for a test that does with it what is no command.
    pub fn named(name: &str) -> Self {
        Self::copy(&Path::new(ROOT).join(name))
    }

    pub fn path(&self) -> &str {
        self.folder.path().to_str().unwrap()
    }

    fn copy(from: &Path) -> Self {
        let mut case = Self { folder: tempfile::tempdir().unwrap(), commands: String::new(), names: Vec::new() };
        for entry in WalkDir::new(from).min_depth(1) {
            let entry = entry.unwrap();
            let name = entry.path().strip_prefix(from).unwrap();
            let to = case.folder.path().join(name);
            if entry.file_type().is_dir() {
                fs::create_dir(to).unwrap();
            } else if name == Path::new("commands") {
                case.commands = fs::read_to_string(entry.path()).unwrap();
            } else if !entry.file_name().to_string_lossy().starts_with("output.snap") {
                let text = case.filled(&fs::read_to_string(entry.path()).unwrap());
                match name.extension() {
                    Some(it) if it == "wat" => fs::write(to.with_extension("wasm"), wat::parse_str(text).unwrap()),
                    _ => fs::write(to, text),
                }
                .unwrap();
            }
        }
        case
    }

    /// With paths for the placeholders.
    fn filled(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for name in PLACEHOLDERS {
            if text.contains(name) {
                let path = path(name);
                text = text.replace(name, &path);
                self.names.push((name, path));
            }
        }
        text
    }

    /// Runs the commands, one after the other.
    fn output(mut self) -> String {
        let mut output = String::new();
        for line in self.commands.clone().lines() {
            match line.chars().next() {
                None => {}
                Some('#') => output += &format!("{line}\n"),
                Some(_) => output += &format!("$ {line}\n{}\n", self.run(line)),
            }
        }
        output
    }

    fn run(&mut self, line: &str) -> String {
        let line = self.filled(line);
        let programs = Path::new(env!("CARGO_BIN_EXE_verdict")).parent().unwrap().display();
        let mut command = Command::new("timeout");
        command.args([LONGEST, "sh", "-c", &line]).current_dir(self.folder.path()).env_clear();
        command.env("PATH", format!("{programs}:/usr/bin:/bin"));
        command.env("VERDICT_CACHE_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"));
        let output = command.output().unwrap();
        let (out, error) = (self.shown(output.stdout), self.shown(output.stderr));
        let code = output.status.code().unwrap();
        let error = if error.is_empty() { error } else { format!("--- standard error\n{error}") };
        format!("{out}{error}--- exit code {code}\n")
    }

    /// Without what is not the same every time, and with what nobody sees made visible.
    fn shown(&self, bytes: Vec<u8>) -> String {
        let mut text = String::from_utf8(bytes).unwrap();
        for (name, path) in &self.names {
            text = text.replace(path, name);
        }
        text = text.replace(self.path(), "[folder]");
        for (pattern, name) in VARIES {
            text = Regex::new(pattern).unwrap().replace_all(&text, *name).into_owned();
        }
        if !text.is_empty() && !text.ends_with('\n') {
            text += "⟨no end of line⟩\n";
        }
        text.chars().map(visible).collect()
    }
}

/// What a placeholder stands for, built if need be.
fn path(placeholder: &str) -> String {
    match placeholder {
        "${policies}" => concat!(env!("CARGO_MANIFEST_DIR"), "/policies").to_owned(),
        "${misbehaving}" => fixtures::misbehaving("").display().to_string(),
        "${misbehaving-admission}" => fixtures::misbehaving("admission").display().to_string(),
        "${modules}" => fixtures::module("wapc_echo").parent().unwrap().display().to_string(),
        unknown => panic!("{unknown} stands for nothing"),
    }
}

/// As it is, or by its number if it would drive a terminal or nobody would see it.
fn visible(char: char) -> String {
    let marks = ['\u{200b}'..='\u{200f}', '\u{2028}'..='\u{202e}', '\u{2060}'..='\u{206f}', '\u{e0000}'..='\u{e007f}'];
    let hidden = char.is_control() && char != '\n' || marks.iter().any(|it| it.contains(&char));
    if hidden { format!("⟨U+{:04X}⟩", u32::from(char)) } else { char.to_string() }
}

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/commands");

const PLACEHOLDERS: [&str; 4] = ["${policies}", "${misbehaving}", "${misbehaving-admission}", "${modules}"];

/// Seconds: a command that should have refused, and serves.
const LONGEST: &str = "300";

/// What is not the same every time, and what stands for it.
const VARIES: &[(&str, &str)] = &[
    (r"\b[0-9.]+ ?(ns|µs|ms|s)\b", "[time]"),
    (r#"("seconds": |\btime=")[0-9.e-]+"#, "${1}[time]"),
    (r"\b[0-9.]+ MiB\b", "[bytes]"),
    (r#"("memory": )[1-9][0-9]*"#, "${1}[bytes]"),
    (r"\b[0-9.]+ to start, [0-9.]+ in the policy", "[time] to start, [time] in the policy"),
    (r"(?m)^[0-9T:.-]+Z ", "[time] "),
    (r#"(size +|"size": )[0-9]+( bytes)?"#, "${1}[bytes]"),
    ("sha256:[0-9a-f]{64}", "sha256:[digest]"),
    (r"\.rs:\d+:\d+", ".rs:[line]"),
    (r"(, called by ([^ ,()<>]|<[^()]*>)+)+", ", called by [functions]"),
];
