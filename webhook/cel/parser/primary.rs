//! What expressions are made of: literals, names and calls, brackets.

use super::{
    Parser,
    lexer::Token,
    literal,
    tree::{Element, Entry, Mistake, Node, Syntax, leaf},
};
use crate::cel::value::Value;

impl Parser<'_> {
    pub(super) fn primary(&mut self) -> Result<Node, Mistake> {
        let at = self.at;
        match self.token {
            Token::Int(_) | Token::Float(_) => self.number(at, false),
            Token::Uint(text) => {
                self.advance()?;
                literal::uint(text)
                    .map(|value| leaf(at, Syntax::Literal(value)))
                    .map_err(|words| Mistake::new(at, words))
            }
            Token::String(text) => {
                self.advance()?;
                let value = literal::string(text).map_err(|words| Mistake::new(at, words))?;
                Ok(leaf(at, Syntax::Literal(Value::string(value))))
            }
            Token::Bytes(text) => {
                self.advance()?;
                let value = literal::bytes(text).map_err(|words| Mistake::new(at, words))?;
                Ok(leaf(at, Syntax::Literal(Value::Bytes(value.into()))))
            }
            Token::Keyword(word) => {
                let value = match word {
                    "true" => Value::Bool(true),
                    "false" => Value::Bool(false),
                    "null" => Value::Null,
                    _ => return Err(self.unexpected("a value")),
                };
                self.advance()?;
                Ok(leaf(at, Syntax::Literal(value)))
            }
            Token::Sign("(") => {
                self.advance()?;
                let node = self.expression()?;
                self.expect(")")?;
                Ok(node)
            }
            Token::Sign("[") => self.list(),
            Token::Sign("{") => self.map(),
            Token::Sign(".") => {
                self.advance()?;
                self.identifier(".")
            }
            Token::Identifier(_) => self.identifier(""),
            _ => Err(self.unexpected("a value")),
        }
    }

    /// A variable or the call of a function.
    fn identifier(&mut self, dot: &str) -> Result<Node, Mistake> {
        let at = self.at;
        let Token::Identifier(name) = self.token else { return Err(self.unexpected("a name")) };
        if RESERVED.contains(&name) {
            return Err(Mistake::new(at, format!("reserved identifier: {name}")));
        }
        self.advance()?;
        let name = format!("{dot}{name}");
        if self.token == Token::Sign("(") {
            let at = self.at;
            let arguments = self.arguments()?;
            return self.call_on(at, &name, None, arguments);
        }
        Ok(leaf(at, Syntax::Identifier(name)))
    }

    pub(super) fn number(&mut self, at: usize, negative: bool) -> Result<Node, Mistake> {
        let value = match self.token {
            Token::Int(text) => literal::int(text, negative),
            Token::Float(text) => literal::double(text, negative),
            _ => return self.primary().and_then(|operand| self.call(at, "-_", vec![operand])),
        };
        self.advance()?;
        value.map(|value| leaf(at, Syntax::Literal(value))).map_err(|words| Mistake::new(at, words))
    }

    pub(super) fn arguments(&mut self) -> Result<Vec<Node>, Mistake> {
        self.expect("(")?;
        let mut arguments = Vec::new();
        if self.eat(")")? {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.expression()?);
            if !self.eat(",")? {
                self.expect(")")?;
                return Ok(arguments);
            }
        }
    }

    fn list(&mut self) -> Result<Node, Mistake> {
        let at = self.at;
        let mut elements = Vec::new();
        self.items("[", "]", |parser| {
            let optional = parser.eat("?")?;
            elements.push(Element { value: parser.expression()?, optional });
            Ok(())
        })?;
        let depth = elements.iter().map(|element| element.value.depth).max().unwrap_or(0);
        Ok(Node { at, depth, syntax: Syntax::List(elements) })
    }

    fn map(&mut self) -> Result<Node, Mistake> {
        let at = self.at;
        let mut entries = Vec::new();
        self.items("{", "}", |parser| {
            let optional = parser.eat("?")?;
            let key = parser.expression()?;
            parser.expect(":")?;
            entries.push(Entry { key, value: parser.expression()?, optional });
            Ok(())
        })?;
        let depth = entries.iter().map(|entry: &Entry| entry.key.depth.max(entry.value.depth)).max().unwrap_or(0);
        Ok(Node { at, depth, syntax: Syntax::Map(entries) })
    }

    /// Between brackets, with commas between and one more at the end, which may also stand alone.
    fn items(
        &mut self,
        open: &str,
        close: &str,
        mut item: impl FnMut(&mut Self) -> Result<(), Mistake>,
    ) -> Result<(), Mistake> {
        self.expect(open)?;
        if self.eat(",")? {
            return self.expect(close);
        }
        while !self.eat(close)? {
            item(self)?;
            if !self.eat(",")? {
                return self.expect(close);
            }
        }
        Ok(())
    }
}

/// Not allowed as variables or functions; `true`, `false`, `null` and `in` are words of the grammar itself.
const RESERVED: [&str; 17] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];
