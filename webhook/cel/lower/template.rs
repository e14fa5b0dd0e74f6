//! `'%s'.format([…])` with a constant template and a list: checked at load, as cel-go's validator does.

use super::{Lowering, Part};
use crate::cel::{parser::Mistake, types::Type, value::Kind};

impl Lowering {
    pub(super) fn check_templates(&self) -> Result<(), Mistake> {
        for template in &self.templates {
            let mut values = template.values.iter();
            let mut rest = &*template.text;
            while let Some(found) = rest.find('%') {
                rest = &rest[found + 1..];
                if let Some(behind) = rest.strip_prefix('%') {
                    rest = behind;
                    continue;
                }
                let Some(Part { at, typ }) = values.next() else {
                    return Err(Mistake::new(template.at, "format(): fewer values than clauses"));
                };
                let (verb, behind) = clause(rest).ok_or_else(|| {
                    Mistake::new(*at, "format(): a clause is %s, %d, %f, %e, %b, %o, %x or %X, with %.2f as precision")
                })?;
                rest = behind;
                let typ = self.types.settle(typ);
                if !fits(verb, &typ) {
                    return Err(Mistake::new(*at, format!("format(): %{verb} does not take a value of type {typ}")));
                }
            }
            if let Some(part) = values.next() {
                return Err(Mistake::new(part.at, "format(): more values than clauses"));
            }
        }
        Ok(())
    }
}

/// The letter of the clause that `text` begins with, and what is behind it. None: it is none.
fn clause(text: &str) -> Option<(char, &str)> {
    let text = match text.strip_prefix('.') {
        Some(text) => {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            let (precision, text) = text.split_at(digits);
            precision.parse::<i64>().ok()?;
            text
        }
        None => text,
    };
    let verb = text.chars().next().filter(|verb| "sdfeboxX".contains(*verb))?;
    Some((verb, &text[1..]))
}

fn fits(verb: char, typ: &Type) -> bool {
    let kind = match typ {
        Type::Dyn => return true,
        Type::List(_) | Type::Map(..) | Type::Meta(_) => return verb == 's',
        Type::Plain(kind) => *kind,
        _ => return false,
    };
    match verb {
        's' => matches!(
            kind,
            Kind::Null
                | Kind::Bool
                | Kind::Int
                | Kind::Uint
                | Kind::Double
                | Kind::String
                | Kind::Bytes
                | Kind::Duration
                | Kind::Timestamp
        ),
        'f' | 'e' => matches!(kind, Kind::Double | Kind::String),
        'b' => matches!(kind, Kind::Int | Kind::Uint | Kind::Bool),
        'x' | 'X' => matches!(kind, Kind::Int | Kind::Uint | Kind::String | Kind::Bytes),
        _ => matches!(kind, Kind::Int | Kind::Uint),
    }
}
