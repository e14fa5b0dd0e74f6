//! Imports between the rooms of `webhook/` point one way: the order is the one of the map in `webhook/lib.rs`.
//!
//! Every path counts that begins with `crate`, `self` or `super`, in a `use` or elsewhere, in tests too; comments and
//! strings do not.

use std::{collections::BTreeSet, fs, path::Path};

use walkdir::WalkDir;

#[test]
fn every_import_points_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("webhook");
    let map = Map::read(&fs::read_to_string(root.join("lib.rs")).unwrap());
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for file in
        WalkDir::new(&root).into_iter().map(Result::unwrap).filter(|it| it.path().extension() == Some("rs".as_ref()))
    {
        let path = file.path().strip_prefix(&root).unwrap().to_str().unwrap();
        if ["main.rs", "lib.rs"].contains(&path) {
            continue;
        }
        let (found, arrows) = map.check(path, &fs::read_to_string(file.path()).unwrap());
        seen.extend(found);
        wrong.extend(arrows);
    }
    assert!(wrong.is_empty(), "against the order of the rooms in webhook/lib.rs:\n{}", wrong.join("\n"));
    let listed: BTreeSet<String> = map.0.concat().into_iter().collect();
    assert_eq!(seen, listed, "the rooms that have files, and those of the map");
}

#[test]
fn nothing_but_the_command_line_prints() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("webhook");
    let mut wrong = Vec::new();
    for file in WalkDir::new(&root).into_iter().map(Result::unwrap) {
        let path = file.path().strip_prefix(&root).unwrap();
        if file.path().extension() == Some("rs".as_ref()) && !path.starts_with("cli") {
            let lines = prints(&fs::read_to_string(file.path()).unwrap());
            wrong.extend(lines.into_iter().map(|line| format!("{}:{line}", path.display())));
        }
    }
    assert!(wrong.is_empty(), "these print: {wrong:?}");
    assert_eq!(prints("fn f() {\n println!(\"a\");\n std::io::stderr();\n}\nuse std::io::{self, stdout};"), [2, 3, 5]);
    // What a tool prints, and what is only said.
    assert_eq!(prints("command.stdout(std::io::stderr()); // println!(\n \"io::stdout()\""), [0_usize; 0]);
}

/// The lines of a file that write to standard output or standard error themselves.
fn prints(source: &str) -> Vec<usize> {
    let tokens = tokens(source);
    let token = |at: usize| tokens.get(at).map_or("", |it| it.1);
    let is_stream = |at: usize| ["stdout", "stderr"].contains(&token(at));
    let mut found = Vec::new();
    let mut imports = false;
    for (at, (line, name)) in tokens.iter().enumerate() {
        match *name {
            "use" => imports = true,
            ";" => imports = false,
            "print" | "println" | "eprint" | "eprintln" | "dbg" if token(at + 1) == "!" => found.push(*line),
            "stdout" | "stderr" if imports => found.push(*line),
            // Unless it is where a child of this process writes: `.stdout(std::io::stderr())`.
            "io" if token(at + 1) == "::" && is_stream(at + 2) && !(at >= 4 && is_stream(at - 4)) => found.push(*line),
            _ => {}
        }
    }
    found
}

#[test]
fn an_arrow_that_points_up_is_found() {
    let map = Map::read(
        "//! - [`cli`]: prints;\n//! - [`server`], [`admin`]: listen;\n//! - [`engine::prepare`]:\n//! - [`engine::run`]:\n//! - [`text`]: last.\n",
    );
    assert_eq!(
        map.0,
        [vec!["cli"], vec!["server", "admin"], vec!["engine::prepare"], vec!["engine::run"], vec!["text"]]
    );
    let wrong = |file: &str, source: &str| map.check(file, source).1;
    for (file, source, arrow) in [
        ("server/mod.rs", "use crate::cli::Flags;", "server/mod.rs:1: server imports cli, by crate::cli::Flags"),
        (
            "text.rs",
            "\npub(crate) use crate::{text::line, engine::{run::{Engine, Pool}, run}};",
            "text.rs:2: text imports engine::run, by crate::engine::run::Engine",
        ),
        (
            "text.rs",
            "fn f() -> crate::server::Answer<'static> { 'a' }",
            "text.rs:1: text imports server, by crate::server::Answer",
        ),
        (
            "text.rs",
            "fn f() { vec![<crate::admin::State as Default>::default()] }",
            "text.rs:1: text imports admin, by crate::admin::State",
        ),
        (
            "engine/run/pool.rs",
            "use super::super::prepare::Source;",
            "engine/run/pool.rs:1: engine::run imports engine::prepare, by crate::engine::prepare::Source",
        ),
        (
            "engine/run/mod.rs",
            "mod tests {\n use super::{super::prepare, *};\n}",
            "engine/run/mod.rs:2: engine::run imports engine::prepare, by crate::engine::prepare",
        ),
        (
            "engine/run/mod.rs",
            "mod a { }\nuse super::prepare;",
            "engine/run/mod.rs:2: engine::run imports engine::prepare, by crate::engine::prepare",
        ),
        (
            "text.rs",
            "#[path = \"cli/flags.rs\"]\nmod flags;",
            "text.rs:1: without #[path] a file lies where its module is",
        ),
        // Through a door that belongs to no room the arrow could not be seen.
        ("cli/mod.rs", "use crate::engine::Engine;", "cli/mod.rs:1: crate::engine::Engine is in no room of the map"),
        (
            "engine/mod.rs",
            "pub use self::run::Engine;",
            "engine/mod.rs:1: it belongs to no room of the map, and imports crate::engine::run::Engine",
        ),
        (
            "new.rs",
            "use crate::text::line;",
            "new.rs:1: it belongs to no room of the map, and imports crate::text::line",
        ),
    ] {
        assert_eq!(wrong(file, source).first().map(String::as_str), Some(arrow), "{source}");
    }
    for (file, source) in [
        ("cli/mod.rs", "use crate::{server, admin::State, engine::prepare::Source, text::line as l};"),
        ("admin/mod.rs", "use crate::server::{self, Bound};"),
        ("server/tls.rs", "use super::{Bound, super::admin};\nuse self::inner::It;"),
        ("engine/prepare/mod.rs", "use super::run::Engine; pub(in crate::engine::prepare) struct It;"),
        ("engine/mod.rs", "//! See crate::cli::Flags.\npub mod prepare;\npub mod run;"),
        (
            "text.rs",
            "// use crate::cli;\n/* use /* */ crate::cli; */\nconst A: &str = \"crate::cli \\\" crate::cli\"; const B: &str = r#\"crate::cli \" crate::cli\"#; const C: char = '\"'; /// crate::cli\nfn f<'a>(it: &'a str) {}",
        ),
    ] {
        assert_eq!(wrong(file, source), [""; 0], "{source}");
    }
}

/// The rooms from the top to the end; those of one line are on one level and may import each other.
struct Map(Vec<Vec<String>>);

impl Map {
    /// From the list in the documentation of the crate: lines such as "//! - [`server`], [`admin`]: the two listeners".
    fn read(lib: &str) -> Self {
        let lines = lib.lines().filter_map(|it| it.strip_prefix("//! - ["));
        let level = |line: &str| {
            let rooms = line.split_once("]:").expect("a colon behind the rooms").0;
            rooms.split("], [").map(|it| it.trim_matches('`').to_owned()).collect()
        };
        Self(lines.map(level).collect())
    }

    /// The room of a path within the crate, and its level.
    fn room(&self, path: &[String]) -> Option<(usize, &str)> {
        let within = |room: &&String| {
            path.iter().map(String::as_str).zip(room.split("::")).filter(|(a, b)| a == b).count()
                == room.split("::").count()
        };
        self.0.iter().enumerate().find_map(|(level, rooms)| Some((level, rooms.iter().find(within)?.as_str())))
    }

    /// The room that a file belongs to, and what is wrong with its imports.
    fn check(&self, file: &str, source: &str) -> (Option<String>, Vec<String>) {
        let mut module: Vec<String> = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        module.pop_if(|it| it == "mod");
        let own = self.room(&module);
        let elsewhere = source.lines().position(|it| it.trim_start().starts_with("#[path"));
        let elsewhere =
            elsewhere.map(|it| format!("{file}:{}: without #[path] a file lies where its module is", it + 1));
        let wrong = paths(source, &module).into_iter().filter_map(|(line, path)| {
            let name = format!("crate::{}", path.join("::"));
            let Some((level, room)) = own else {
                return Some(format!("{file}:{line}: it belongs to no room of the map, and imports {name}"));
            };
            match self.room(&path) {
                None => Some(format!("{file}:{line}: {name} is in no room of the map")),
                Some((other, to)) if other < level => Some(format!("{file}:{line}: {room} imports {to}, by {name}")),
                Some(_) => None,
            }
        });
        (own.map(|(_, room)| room.to_owned()), wrong.chain(elsewhere).collect())
    }
}

/// Every path of a file that is written from `crate`, `self` or `super`, from the crate's root, with its line.
fn paths(source: &str, module: &[String]) -> Vec<(usize, Vec<String>)> {
    let tokens = tokens(source);
    let mut found = Vec::new();
    let mut module = module.to_vec();
    // How many braces are open, and at which counts a module within the file began.
    let (mut depth, mut began) = (0, Vec::new());
    let mut at = 0;
    while let Some((_, token)) = tokens.get(at) {
        match *token {
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                if began.pop_if(|it| *it == depth).is_some() {
                    module.pop();
                }
            }
            "mod" if tokens.get(at + 2).is_some_and(|it| it.1 == "{") => {
                module.push(tokens[at + 1].1.to_owned());
                began.push(depth);
            }
            // `pub(in crate::engine)` imports nothing.
            "in" if at >= 2 && tokens[at - 2].1 == "pub" => at += 1,
            "crate" | "self" | "super" if tokens.get(at + 1).is_some_and(|it| it.1 == "::") => {
                at = tree(&tokens, at, &[], &mut |line, path| {
                    found.extend(absolute(path, &module).map(|it| (line, it)))
                });
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Gives every path of the tree that begins at a token to `found`; where the tree ends.
fn tree<'a>(
    tokens: &[(usize, &'a str)],
    mut at: usize,
    before: &[&'a str],
    found: &mut impl FnMut(usize, &[&str]),
) -> usize {
    let mut path = before.to_vec();
    let line = tokens.get(at).map_or(0, |it| it.0);
    let token = |at: usize| tokens.get(at).map_or("", |it| it.1);
    loop {
        match token(at) {
            "{" => {
                at += 1;
                while !["}", ""].contains(&token(at)) {
                    at = tree(tokens, at, &path, found);
                    // Also over `as name`.
                    while ![",", "}", ""].contains(&token(at)) {
                        at += 1;
                    }
                    at += usize::from(token(at) == ",");
                }
                return at + 1;
            }
            "*" => {}
            it if is_word(it) => path.push(it),
            // `crate::name::<T>`
            _ => {
                found(line, &path);
                return at;
            }
        }
        at += 1;
        if token(at) != "::" {
            found(line, &path);
            return at;
        }
        at += 1;
    }
}

/// From the crate's root. None: it names a module above the root, which does not compile.
fn absolute(path: &[&str], module: &[String]) -> Option<Vec<String>> {
    let mut absolute = if path.first() == Some(&"crate") { Vec::new() } else { module.to_vec() };
    for segment in path {
        match *segment {
            "crate" | "self" => {}
            "super" => drop(absolute.pop()?),
            name => absolute.push(name.to_owned()),
        }
    }
    Some(absolute)
}

fn is_word(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// The words and signs of a file, each with its line; neither comments nor strings.
fn tokens(source: &str) -> Vec<(usize, &str)> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (source, 1);
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|it: char| !it.is_alphanumeric() && it != '_').unwrap_or(rest.len());
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            comment(rest)
        } else if let Some(length) = raw_string(rest) {
            length
        } else if first == '"' {
            quoted(rest, '"')
        } else if first == '\'' {
            // A character, unless it is a lifetime.
            let is_lifetime = is_word(&rest[1..]) && !rest.chars().nth(2).is_some_and(|it| it == '\'');
            if is_lifetime { 1 } else { quoted(rest, '\'') }
        } else if word > 0 {
            tokens.push((line, &rest[..word]));
            word
        } else {
            let length = if rest.starts_with("::") { 2 } else { first.len_utf8() };
            if !first.is_whitespace() {
                tokens.push((line, &rest[..length]));
            }
            length
        };
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    tokens
}

/// The length of a comment, which may hold others.
fn comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        match text.get(at..at + 2) {
            Some("/*") => (depth, at) = (depth + 1, at + 2),
            Some("*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The length of a raw string, if `text` begins with one.
fn raw_string(text: &str) -> Option<usize> {
    let prefix =
        ["r", "br", "cr"].into_iter().find(|it| text.strip_prefix(it).is_some_and(|it| it.starts_with(['#', '"'])))?;
    let hashes = text[prefix.len()..].find(|it| it != '#')?;
    let begin = prefix.len() + hashes + 1;
    let end = format!("\"{}", "#".repeat(hashes));
    // Else it is a name such as r#type.
    text[begin - 1..].starts_with('"').then(|| text[begin..].find(&end).map_or(text.len(), |it| begin + it + end.len()))
}

/// The length of a string or a character, its signs included.
fn quoted(text: &str, end: char) -> usize {
    let mut escaped = false;
    for (at, it) in text.char_indices().skip(1) {
        if it == end && !escaped {
            return at + 1;
        }
        escaped = it == '\\' && !escaped;
    }
    text.len()
}
