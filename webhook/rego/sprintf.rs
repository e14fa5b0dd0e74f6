//! `sprintf`, as Go's `fmt` prints what OPA hands to it: integers, floats, and all else as text.

use super::{
    Fault, Function, Outcome, function,
    number::Number,
    value::Value,
    work::{Exhausted, Out, Work},
    write,
};

mod big;
pub(super) mod float;
mod verbs;

pub(super) const FUNCTIONS: &[Function] = &[function("sprintf", 2, sprintf)];

fn sprintf(arguments: &[Value], work: &mut Work) -> Outcome {
    let [format, values] = arguments else { return Err(Fault::Undefined) };
    let (format, values) = (format.text()?, values.array()?);
    let mut printer = Printer { out: Out::new(work), values, next: 0, reordered: false };
    printer.print(format)?;
    Ok(Value::string(printer.out.finish()))
}

/// What Go sees of a value.
enum Argument<'v> {
    Int(i64),
    /// The digits of a `*big.Int`, after the sign.
    Big {
        negative: bool,
        digits: &'v str,
    },
    Float(f64),
    /// A string, and a number that is too large for a float.
    Text(&'v str),
    /// Printed as OPA prints it; a string to Go.
    Other(&'v Value),
}

impl<'v> Argument<'v> {
    fn of(value: &'v Value) -> Self {
        match value {
            Value::Number(Number::Int(number)) => Self::Int(*number),
            Value::Number(number @ Number::Text(text)) => {
                if number.is_written_as_float() {
                    number.float().map_or(Self::Text(text), Self::Float)
                } else if let Some(number) = number.int() {
                    Self::Int(number)
                } else {
                    let digits = text.strip_prefix('-');
                    Self::Big { negative: digits.is_some(), digits: digits.unwrap_or(text) }
                }
            }
            Value::String(text) => Self::Text(text),
            other => Self::Other(other),
        }
    }

    /// As Go's reflection names it.
    fn type_name(&self) -> &'static str {
        match self {
            Self::Int(_) => "int64",
            Self::Big { .. } => "*big.Int",
            Self::Float(_) => "float64",
            Self::Text(_) | Self::Other(_) => "string",
        }
    }
}

/// What stands between a percent sign and its verb.
#[derive(Default, Clone, Copy)]
struct Flags {
    sharp: bool,
    /// `#` with `v`.
    sharp_v: bool,
    plus: bool,
    /// `+` with `v`.
    plus_v: bool,
    minus: bool,
    zero: bool,
    space: bool,
    /// In letters.
    width: Option<usize>,
    precision: Option<usize>,
}

struct Printer<'v, 'w> {
    out: Out<'w>,
    values: &'v [Value],
    /// The value that the next clause prints.
    next: usize,
    /// Whether a clause named its value, as in `%[2]d`.
    reordered: bool,
}

impl Printer<'_, '_> {
    fn print(&mut self, format: &str) -> Result<(), Exhausted> {
        let mut rest = format;
        while let Some(at) = rest.find('%') {
            self.out.push(&rest[..at])?;
            rest = self.clause(&rest[at + 1..])?;
        }
        self.out.push(rest)?;
        if self.reordered || self.next >= self.values.len() {
            return Ok(());
        }
        self.out.push("%!(EXTRA ")?;
        for (at, value) in self.values[self.next..].iter().enumerate() {
            if at > 0 {
                self.out.push(", ")?;
            }
            let argument = Argument::of(value);
            self.out.push(argument.type_name())?;
            self.out.push("=")?;
            verbs::print(&mut self.out, &argument, 'v', &Flags::default())?;
        }
        self.out.push(")")
    }

    /// Behind the percent sign; what follows the clause.
    fn clause<'f>(&mut self, format: &'f str) -> Result<&'f str, Exhausted> {
        self.out.work.steps(STEPS_A_CLAUSE)?;
        let mut clause = Clause { rest: format, flags: Flags::default(), good: true };
        clause.flags();
        let mut named = self.named(&mut clause);
        if clause.take('*') {
            match self.star() {
                Some(width) => {
                    clause.flags.width = usize::try_from(width.unsigned_abs()).ok();
                    if width < 0 {
                        (clause.flags.minus, clause.flags.zero) = (true, false);
                    }
                }
                None => self.out.push("%!(BADWIDTH)")?,
            }
            named = false;
        } else {
            clause.flags.width = clause.number();
            if named && clause.flags.width.is_some() {
                clause.good = false;
            }
        }
        // A point at the very end is the verb.
        if clause.rest.len() > 1 && clause.take('.') {
            if named {
                clause.good = false;
            }
            named = self.named(&mut clause);
            if clause.take('*') {
                match self.star() {
                    Some(precision) => clause.flags.precision = usize::try_from(precision).ok(),
                    None => clause.flags.precision = None,
                }
                if clause.flags.precision.is_none() {
                    self.out.push("%!(BADPREC)")?;
                }
                named = false;
            } else {
                clause.flags.precision = Some(clause.number().unwrap_or(0));
            }
        }
        if !named {
            self.named(&mut clause);
        }
        let mut letters = clause.rest.chars();
        let Some(verb) = letters.next() else {
            self.out.push("%!(NOVERB)")?;
            return Ok("");
        };
        if verb == '%' {
            self.out.push("%")?;
        } else if !clause.good {
            self.complain(verb, "(BADINDEX)")?;
        } else if let Some(value) = self.values.get(self.next) {
            if matches!(verb, 'v' | 'w') {
                let flags = &mut clause.flags;
                (flags.sharp_v, flags.plus_v) = (flags.sharp, flags.plus);
                (flags.sharp, flags.plus) = (false, false);
            }
            verbs::print(&mut self.out, &Argument::of(value), verb, &clause.flags)?;
            self.next += 1;
        } else {
            self.complain(verb, "(MISSING)")?;
        }
        Ok(letters.as_str())
    }

    fn complain(&mut self, verb: char, words: &str) -> Result<(), Exhausted> {
        self.out.push("%!")?;
        self.out.push(verb.encode_utf8(&mut [0; 4]))?;
        self.out.push(words)
    }

    /// The width or precision that a value gives. None: it gives none; it is used up all the same.
    fn star(&mut self) -> Option<i64> {
        let value = self.values.get(self.next)?;
        self.next += 1;
        match Argument::of(value) {
            Argument::Int(number) if number.unsigned_abs() <= LARGEST => Some(number),
            _ => None,
        }
    }

    /// Takes an index such as `[2]`; whether there was one that could be read.
    fn named(&mut self, clause: &mut Clause) -> bool {
        if !clause.rest.starts_with('[') {
            return false;
        }
        self.reordered = true;
        let Some(end) = clause.rest.find(']').filter(|_| clause.rest.len() >= 3) else {
            clause.rest = &clause.rest[1..];
            clause.good = false;
            return false;
        };
        let mut within = Clause { rest: &clause.rest[1..end], flags: Flags::default(), good: true };
        clause.rest = &clause.rest[end + 1..];
        let index = within.number().filter(|_| within.rest.is_empty());
        match index.map(|it| it.checked_sub(1)) {
            Some(Some(index)) if index < self.values.len() => self.next = index,
            _ => clause.good = false,
        }
        index.is_some()
    }
}

/// What is left of a clause.
struct Clause<'f> {
    rest: &'f str,
    flags: Flags,
    /// No index named a value that is not there.
    good: bool,
}

impl Clause<'_> {
    fn flags(&mut self) {
        loop {
            match self.rest.as_bytes().first() {
                Some(b'#') => self.flags.sharp = true,
                Some(b'0') => self.flags.zero = true,
                Some(b'+') => self.flags.plus = true,
                Some(b'-') => self.flags.minus = true,
                Some(b' ') => self.flags.space = true,
                _ => return,
            }
            self.rest = &self.rest[1..];
        }
    }

    fn take(&mut self, sign: char) -> bool {
        self.rest.strip_prefix(sign).inspect(|rest| self.rest = rest).is_some()
    }

    /// As Go reads it: what is beyond all bounds takes the rest of the format with it.
    fn number(&mut self) -> Option<usize> {
        let mut number = None;
        while let Some(digit) = self.rest.as_bytes().first().filter(|it| it.is_ascii_digit()) {
            let before = number.unwrap_or(0);
            if before as u64 > LARGEST {
                self.rest = "";
                return None;
            }
            number = Some(before * 10 + usize::from(digit - b'0'));
            self.rest = &self.rest[1..];
        }
        number
    }
}

/// The greatest width, precision and index.
const LARGEST: u64 = 1_000_000;
const STEPS_A_CLAUSE: usize = 10;
