//! What this program prints, cleaned: nothing else writes to standard output or standard error, but the log.

use std::io::{self, IsTerminal as _, Write as _};

use crate::text::{line, lines};

/// Writes [`lines`] and an end of line to standard output. Who stops reading has seen
/// enough.
pub(super) fn print(text: &str) {
    let _ = writeln!(io::stdout(), "{}", lines(text));
}

/// Writes a script of this program's own, of which nothing may be escaped.
pub(super) fn print_script(text: &str) {
    let _ = write!(io::stdout(), "{text}");
}

/// Writes bytes of others to standard output as they are, so that files and other programs get exactly these; what would drive a
/// terminal is escaped on one.
pub(super) fn print_bytes(bytes: &[u8]) {
    let mut out = io::stdout();
    if out.is_terminal() {
        print(&String::from_utf8_lossy(bytes));
    } else {
        let _ = out.write_all(bytes).and_then(|()| out.flush());
    }
}

/// As [`print`], to standard error.
pub(super) fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{}", lines(text));
}

/// A colour of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    /// What goes.
    Red,
    /// What comes.
    Green,
    /// Where.
    Cyan,
}

/// As [`tell`], each line in its colour where standard error is a terminal. `NO_COLOR` turns colours off,
/// `CLICOLOR_FORCE` on (no-color.org, bixense.com/clicolors).
pub(super) fn tell_coloured<'t>(all: impl IntoIterator<Item = (Option<Colour>, &'t str)>) {
    let set = |name: &str| std::env::var_os(name).is_some_and(|it| !it.is_empty() && it != "0");
    let coloured = !set("NO_COLOR") && (set("CLICOLOR_FORCE") || io::stderr().is_terminal());
    for (colour, text) in all {
        let text = line(text);
        let _ = match colour.filter(|_| coloured) {
            Some(colour) => writeln!(io::stderr(), "\u{1b}[{}m{text}\u{1b}[0m", colour.code()),
            None => writeln!(io::stderr(), "{text}"),
        };
    }
}

impl Colour {
    fn code(self) -> u8 {
        match self {
            Self::Red => 31,
            Self::Green => 32,
            Self::Cyan => 36,
        }
    }
}
