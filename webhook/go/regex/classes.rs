//! Classes of characters: `[a-z]`, `[[:alpha:]]`, `\pL`, `\d`.

use std::fmt::Write;

use super::Translation;

impl Translation<'_> {
    /// A class behind its bracket.
    pub(super) fn class(&mut self) -> Result<(), &'static str> {
        self.out.push('[');
        if self.letters.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            match self.letters.peek() {
                None => return Err("a class is not closed"),
                Some(']') if !first => {
                    self.letters.next();
                    self.out.push(']');
                    return Ok(());
                }
                _ => first = false,
            }
            if self.posix_set()? {
                continue;
            }
            let mut ahead = self.letters.clone();
            match (ahead.next(), ahead.next()) {
                (Some('\\'), Some('p' | 'P')) => {
                    self.letters.next();
                    self.property()?;
                    continue;
                }
                (Some('\\'), Some('d' | 'D' | 's' | 'S' | 'w' | 'W')) => {
                    self.letters.next();
                    let set = self.perl_set();
                    self.out.push_str(set);
                    continue;
                }
                _ => {}
            }
            let low = self.class_character()?;
            let mut high = low;
            let mut ahead = self.letters.clone();
            if ahead.next() == Some('-') && ahead.peek().is_some_and(|letter| *letter != ']') {
                self.letters = ahead;
                high = self.class_character()?;
            }
            if high < low {
                return Err("a range of a class ends before it begins");
            }
            let _ = write!(self.out, "\\x{{{:x}}}-\\x{{{:x}}}", u32::from(low), u32::from(high));
        }
    }

    fn class_character(&mut self) -> Result<char, &'static str> {
        match self.letters.next() {
            Some('\\') => self.escaped(),
            Some(letter) => Ok(letter),
            None => Err("a class is not closed"),
        }
    }

    /// `[:alpha:]` within a class; false: there is none here.
    fn posix_set(&mut self) -> Result<bool, &'static str> {
        let mut ahead = self.letters.clone();
        if (ahead.next(), ahead.next()) != (Some('['), Some(':')) {
            return Ok(false);
        }
        let rest: String = ahead.clone().collect();
        let Some((name, _)) = rest.split_once(":]") else { return Ok(false) };
        if !POSIX.contains(&name.strip_prefix('^').unwrap_or(name)) {
            return Err("unknown class of characters");
        }
        let _ = write!(self.out, "[:{name}:]");
        for _ in 0..name.chars().count() + 2 {
            ahead.next();
        }
        self.letters = ahead;
        Ok(true)
    }

    /// `\pL`, `\p{Greek}` or their opposites, behind the backslash: a general category or a script.
    pub(super) fn property(&mut self) -> Result<(), &'static str> {
        const UNKNOWN: &str = "unknown class of characters";
        let mut negative = self.letters.next() == Some('P');
        let mut name = String::new();
        match self.letters.next().ok_or(UNKNOWN)? {
            '{' => loop {
                match self.letters.next().ok_or(UNKNOWN)? {
                    '}' => break,
                    letter => name.push(letter),
                }
            },
            letter => name.push(letter),
        }
        if let Some(opposite) = name.strip_prefix('^') {
            negative = !negative;
            name = opposite.to_owned();
        }
        let plain = name.chars().all(|letter| letter.is_ascii_alphabetic() || letter == '_' || letter == ' ');
        // The crate would strip it.
        if !plain || name.to_ascii_lowercase().starts_with("is") {
            return Err(UNKNOWN);
        }
        let known = |kind: &str| ::regex::Regex::new(&format!("\\p{{{kind}={name}}}")).is_ok();
        let kind = if known("gc") {
            "gc"
        } else if !name.contains(['_', ' ']) && known("sc") {
            "sc"
        } else {
            return Err(UNKNOWN);
        };
        let _ = write!(self.out, "\\{}{{{kind}={name}}}", if negative { 'P' } else { 'p' });
        Ok(())
    }

    /// `\d` and its like behind the backslash: ASCII only.
    pub(super) fn perl_set(&mut self) -> &'static str {
        match self.letters.next() {
            Some('d') => "[0-9]",
            Some('D') => "[^0-9]",
            Some('s') => "[\\t\\n\\f\\r\\x20]",
            Some('S') => "[^\\t\\n\\f\\r\\x20]",
            Some('w') => "[0-9A-Za-z_]",
            _ => "[^0-9A-Za-z_]",
        }
    }
}

const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word",
    "xdigit",
];
