//! RE2's syntax as Go reads it, rewritten for the `regex` crate: what Go refuses is refused, the rest means the same.
//!
//! Characters leave as they are or by their number, so that only what is meant to be an operator is one.

use std::{fmt::Write, iter::Peekable, str::Chars};

mod classes;

/// Groups have no names. Err: what is wrong, without a part of the pattern, which may come from a review.
pub(crate) fn translate(pattern: &str) -> Result<String, &'static str> {
    translate_with_names(pattern).map(|(pattern, _)| pattern)
}

/// Beside the pattern, the name of each group, as far as it has one: the whole match is the first.
pub(crate) fn translate_with_names(pattern: &str) -> Result<(String, Vec<Option<String>>), &'static str> {
    let mut translation = Translation {
        letters: pattern.chars().peekable(),
        out: String::with_capacity(2 * pattern.len()),
        names: vec![None],
    };
    translation.run()?;
    Ok((translation.out, translation.names))
}

struct Translation<'a> {
    letters: Peekable<Chars<'a>>,
    out: String,
    /// Of the groups that capture.
    names: Vec<Option<String>>,
}

/// What a repetition at this point would repeat.
#[derive(Clone, Copy)]
enum Last {
    Nothing,
    /// With the product of the counts of nested repetitions.
    Atom(u32),
    /// A repetition, which cannot be repeated directly.
    Repeated(u32),
}

impl Last {
    fn count(self) -> u32 {
        match self {
            Self::Nothing => 1,
            Self::Atom(count) | Self::Repeated(count) => count,
        }
    }
}

impl Translation<'_> {
    fn run(&mut self) -> Result<(), &'static str> {
        // For each open group what came before it, and the greatest count within.
        let mut groups: Vec<u32> = Vec::new();
        let (mut last, mut greatest) = (Last::Nothing, 1);
        while let Some(letter) = self.letters.next() {
            match letter {
                '(' => {
                    match self.open()? {
                        true => {
                            groups.push(greatest);
                            (last, greatest) = (Last::Nothing, 1);
                        }
                        // Flags: what came before them may still be repeated.
                        false => last = if let Last::Repeated(count) = last { Last::Atom(count) } else { last },
                    }
                    continue;
                }
                ')' => {
                    let outer = groups.pop().ok_or("one closing bracket too many")?;
                    self.out.push(')');
                    last = Last::Atom(greatest);
                    greatest = greatest.max(outer);
                    continue;
                }
                '|' => {
                    self.out.push('|');
                    last = Last::Nothing;
                    continue;
                }
                '*' | '+' | '?' => {
                    self.out.push(letter);
                    last = self.repeat(last, 1)?;
                    continue;
                }
                '{' => match self.count()? {
                    Some(count) => {
                        last = self.repeat(last, count)?;
                        greatest = greatest.max(last.count());
                        continue;
                    }
                    None => self.character('{'),
                },
                '[' => self.class()?,
                '\\' => match self.letters.peek() {
                    Some('Q') => {
                        self.letters.next();
                        if self.quoted() {
                            last = Last::Atom(1);
                        }
                        continue;
                    }
                    Some('A' | 'z') => self.out.extend(['\\', self.letters.next().unwrap_or_default()]),
                    Some('b') => self.replace("(?-u:\\b)"),
                    Some('B') => self.replace("(?-u:\\B)"),
                    Some('p' | 'P') => self.property()?,
                    Some('d' | 'D' | 's' | 'S' | 'w' | 'W') => {
                        let set = self.perl_set();
                        self.out.push_str(set);
                    }
                    _ => {
                        let letter = self.escaped()?;
                        self.character(letter);
                    }
                },
                '.' | '^' | '$' => self.out.push(letter),
                letter => self.character(letter),
            }

            last = Last::Atom(1);
        }
        if groups.is_empty() { Ok(()) } else { Err("a bracket is not closed") }
    }

    /// What follows an opening bracket; false: flags for the rest of the group.
    fn open(&mut self) -> Result<bool, &'static str> {
        if self.letters.next_if_eq(&'?').is_none() {
            self.out.push('(');
            self.names.push(None);
            return Ok(true);
        }
        let named = self.letters.next_if_eq(&'P').is_some();
        if self.letters.next_if_eq(&'<').is_some() {
            let mut name = String::new();
            loop {
                match self.letters.next() {
                    Some('>') if !name.is_empty() => break,
                    Some(letter) if letter.is_ascii_alphanumeric() || letter == '_' => name.push(letter),
                    _ => return Err("the name of a group is not made of letters, digits and underscores"),
                }
            }
            // Without its name, of which the crate lets fewer through.
            self.out.push('(');
            self.names.push(Some(name));
            return Ok(true);
        }
        let mut flags = String::new();
        let (mut negative, mut since_sign) = (false, false);
        loop {
            match self.letters.next() {
                _ if named => break,
                Some(flag @ ('i' | 'm' | 's' | 'U')) => {
                    flags.push(flag);
                    since_sign = true;
                }
                Some('-') if !negative => {
                    flags.push('-');
                    (negative, since_sign) = (true, false);
                }
                Some(end @ (':' | ')')) if !negative || since_sign => {
                    // `(?)` has no flags, which the crate does not know.
                    if end == ':' || !flags.is_empty() {
                        let _ = write!(self.out, "(?{}{end}", once_each(&flags));
                    }
                    return Ok(end == ':');
                }
                _ => break,
            }
        }
        Err("unknown kind of group or flag")
    }

    /// After a repetition, which is written already. `count` is the most times, or the least if there is no most.
    fn repeat(&mut self, last: Last, count: u32) -> Result<Last, &'static str> {
        let inner = match last {
            Last::Nothing => return Err("nothing to repeat"),
            Last::Repeated(_) => return Err("a repetition of a repetition"),
            Last::Atom(inner) => inner,
        };
        if self.letters.next_if_eq(&'?').is_some() {
            self.out.push('?');
        }
        let product = count.max(1).saturating_mul(inner);
        if product > MAX_COUNT { Err("more than 1000 repetitions") } else { Ok(Last::Repeated(product)) }
    }

    /// `{n}`, `{n,}` or `{n,m}` behind its bracket; None: it is none of them, so the bracket is a character.
    fn count(&mut self) -> Result<Option<u32>, &'static str> {
        let mut ahead = self.letters.clone();
        let Some(least) = number(&mut ahead) else { return Ok(None) };
        let most = if ahead.next_if_eq(&',').is_none() {
            Some(least)
        } else if ahead.peek() == Some(&'}') {
            None
        } else {
            match number(&mut ahead) {
                Some(most) => Some(most),
                None => return Ok(None),
            }
        };
        if ahead.next() != Some('}') {
            return Ok(None);
        }
        if least > MAX_COUNT || most.is_some_and(|most| most > MAX_COUNT || most < least) {
            return Err("more than 1000 repetitions, or fewer at most than at least");
        }
        self.letters = ahead;
        let _ = match most {
            Some(most) => write!(self.out, "{{{least},{most}}}"),
            None => write!(self.out, "{{{least},}}"),
        };
        Ok(Some(most.unwrap_or(least)))
    }

    /// `\Q…\E` behind its Q, up to the end where no `\E` comes; whether there is anything in it.
    fn quoted(&mut self) -> bool {
        let mut any = false;
        while let Some(letter) = self.letters.next() {
            if letter == '\\' && self.letters.next_if_eq(&'E').is_some() {
                break;
            }
            self.character(letter);
            any = true;
        }
        any
    }

    /// The character that an escape stands for, behind the backslash.
    fn escaped(&mut self) -> Result<char, &'static str> {
        const BAD: &str = "unknown escape";
        let letter = self.letters.next().ok_or("the pattern ends in a backslash")?;
        let octal = |letter: Option<&char>| letter.and_then(|letter| letter.to_digit(8));
        match letter {
            // A single digit would be a back reference.
            '1'..='7' if octal(self.letters.peek()).is_none() => Err(BAD),
            '0'..='7' => {
                let mut code = octal(Some(&letter)).unwrap_or(0);
                for _ in 0..2 {
                    let Some(digit) = octal(self.letters.peek()) else { break };
                    self.letters.next();
                    code = code * 8 + digit;
                }
                char::from_u32(code).ok_or(BAD)
            }
            'x' => {
                let mut digits = String::new();
                if self.letters.next_if_eq(&'{').is_some() {
                    loop {
                        match self.letters.next().ok_or(BAD)? {
                            '}' => break,
                            digit => digits.push(digit),
                        }
                    }
                } else {
                    digits.extend(self.letters.by_ref().take(2));
                    if digits.len() != 2 {
                        return Err(BAD);
                    }
                }
                if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    return Err(BAD);
                }
                u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32).ok_or(BAD)
            }
            'a' => Ok('\u{7}'),
            'f' => Ok('\u{c}'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'v' => Ok('\u{b}'),
            letter if letter.is_ascii() && !letter.is_ascii_alphanumeric() => Ok(letter),
            _ => Err(BAD),
        }
    }

    /// Writes `replacement` for the escape whose letter is next.
    fn replace(&mut self, replacement: &str) {
        self.letters.next();
        self.out.push_str(replacement);
    }

    fn character(&mut self, letter: char) {
        if letter.is_ascii() && !letter.is_ascii_alphanumeric() {
            let _ = write!(self.out, "\\x{:02x}", u32::from(letter));
        } else {
            self.out.push(letter);
        }
    }
}

/// A number without leading zeros; one that is too large for Go is too large for every bound.
fn number(letters: &mut Peekable<Chars<'_>>) -> Option<u32> {
    let mut digits = String::new();
    while let Some(digit) = letters.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    match &*digits {
        "" => None,
        digits if digits.len() > 1 && digits.starts_with('0') => None,
        digits => Some(digits.parse().unwrap_or(u32::MAX)),
    }
}

/// The crate refuses a flag that comes twice.
fn once_each(flags: &str) -> String {
    let mut once = String::new();
    for flag in flags.chars() {
        if !once.contains(flag) {
            once.push(flag);
        }
    }
    once
}

const MAX_COUNT: u32 = 1000;
