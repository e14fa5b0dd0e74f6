//! From text to a syntax tree, in the grammar of cel-go 0.26 (`CEL.g4`) with optional syntax, as Kubernetes enables it.
//!
//! Our own, since what a condition means must not depend on a parser: the `cel` crate's refuses octal escapes and other
//! literals, recurses without bound and panics on some input. This one reads each byte once, recurses no deeper than
//! [`MAX_DEPTH`] and takes every expression that Kubernetes takes. Macros are calls here like all others.

use self::{
    lexer::{Lexer, Token},
    tree::leaf,
};
use super::value::Value;

mod lexer;
mod literal;
mod primary;
#[cfg(test)]
mod tests;
mod tree;

pub(super) use self::tree::{Element, Entry, Mistake, Node, Syntax, dotted};

/// Recurses; callers provide a stack that is deep enough for [`MAX_DEPTH`].
pub(super) fn parse(text: &str) -> Result<Node, Mistake> {
    let size = text.chars().count();
    if size > MAX_SIZE {
        return Err(Mistake::new(0, format!("the expression has {size} characters, {MAX_SIZE} are the most")));
    }
    let mut lexer = Lexer::new(text);
    let (at, token) = lexer.next()?;
    let mut parser = Parser { lexer, at, token, nesting: 0 };
    let node = parser.expression()?;
    match parser.token {
        Token::End => Ok(node),
        _ => Err(parser.unexpected("an operator or the end")),
    }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The token that is looked at, and where it begins.
    at: usize,
    token: Token<'a>,
    nesting: usize,
}

impl<'a> Parser<'a> {
    /// `condition ? yes : no`
    fn expression(&mut self) -> Result<Node, Mistake> {
        self.nesting += 1;
        if self.nesting > MAX_DEPTH {
            return Err(self.too_deep(self.at));
        }
        let condition = self.or()?;
        let at = self.at;
        let node = if self.eat("?")? {
            let yes = self.or()?;
            self.expect(":")?;
            let no = self.expression()?;
            self.call(at, "_?_:_", vec![condition, yes, no])?
        } else {
            condition
        };
        self.nesting -= 1;
        Ok(node)
    }

    fn or(&mut self) -> Result<Node, Mistake> {
        self.chain("||", "_||_", Self::and)
    }

    fn and(&mut self) -> Result<Node, Mistake> {
        self.chain("&&", "_&&_", Self::relation)
    }

    /// One or more terms with an operator between; one call for all of them.
    fn chain(&mut self, sign: &str, name: &str, term: fn(&mut Self) -> Result<Node, Mistake>) -> Result<Node, Mistake> {
        let first = term(self)?;
        let at = self.at;
        if self.token != Token::Sign(sign) {
            return Ok(first);
        }
        let mut terms = vec![first];
        while self.eat(sign)? {
            terms.push(term(self)?);
        }
        let depth = terms.iter().map(|term| term.depth).max().unwrap_or(0);
        Ok(Node { at, depth, syntax: Syntax::Call { name: name.to_owned(), target: None, arguments: terms } })
    }

    fn relation(&mut self) -> Result<Node, Mistake> {
        self.binary(&RELATIONS, Self::sum)
    }

    fn sum(&mut self) -> Result<Node, Mistake> {
        self.binary(&[("+", "_+_"), ("-", "_-_")], Self::product)
    }

    fn product(&mut self) -> Result<Node, Mistake> {
        self.binary(&[("*", "_*_"), ("/", "_/_"), ("%", "_%_")], Self::unary)
    }

    /// From left to right.
    fn binary(
        &mut self,
        operators: &[(&str, &str)],
        term: fn(&mut Self) -> Result<Node, Mistake>,
    ) -> Result<Node, Mistake> {
        let mut left = term(self)?;
        loop {
            let at = self.at;
            let Token::Sign(sign) = self.token else { return Ok(left) };
            let Some((_, name)) = operators.iter().find(|(of, _)| *of == sign) else { return Ok(left) };
            self.advance()?;
            let right = term(self)?;
            left = self.call(at, name, vec![left, right])?;
        }
    }

    fn unary(&mut self) -> Result<Node, Mistake> {
        let (sign, name) = match self.token {
            Token::Sign("!") => ("!", "!_"),
            Token::Sign("-") => ("-", "-_"),
            _ => return self.member(),
        };
        let at = self.at;
        let mut signs = 0_usize;
        while self.eat(sign)? {
            signs += 1;
        }
        // The minus of a number is its own.
        if (sign, signs) == ("-", 1)
            && let Token::Int(_) | Token::Float(_) = self.token
        {
            let number = self.number(at, true)?;
            return self.postfix(number);
        }
        let operand = if sign == "!" && self.token == Token::Sign("-") {
            let at = self.at;
            self.advance()?;
            let number = self.number(at, true)?;
            self.postfix(number)?
        } else {
            self.member()?
        };
        // Pairs cancel out, as in cel-go.
        if signs.is_multiple_of(2) { Ok(operand) } else { self.call(at, name, vec![operand]) }
    }

    fn member(&mut self) -> Result<Node, Mistake> {
        let node = self.primary()?;
        self.postfix(node)
    }

    /// Fields, calls and indexes behind `node`.
    fn postfix(&mut self, mut node: Node) -> Result<Node, Mistake> {
        loop {
            let at = self.at;
            if self.eat(".")? {
                let optional = self.eat("?")?;
                let name_at = self.at;
                let name = self.name()?;
                node = if optional {
                    let field = leaf(name_at, Syntax::Literal(Value::string(name)));
                    self.call(at, "_?._", vec![node, field])?
                } else if self.token == Token::Sign("(") {
                    let at = self.at;
                    let arguments = self.arguments()?;
                    self.call_on(at, name, Some(node), arguments)?
                } else {
                    let depth = self.deeper(at, node.depth)?;
                    Node { at, depth, syntax: Syntax::Select { operand: Box::new(node), field: name.to_owned() } }
                };
            } else if self.eat("[")? {
                let name = if self.eat("?")? { "_[?_]" } else { "_[_]" };
                let index = self.expression()?;
                self.expect("]")?;
                node = self.call(at, name, vec![node, index])?;
            } else if self.token == Token::Sign("{")
                && let Some(name) = dotted(&node)
            {
                return Err(Mistake::new(at, format!("messages such as {name} cannot be made in match conditions")));
            } else {
                return Ok(node);
            }
        }
    }

    fn name(&mut self) -> Result<&'a str, Mistake> {
        match self.token {
            Token::Identifier(name) => {
                self.advance()?;
                Ok(name)
            }
            Token::Escaped => Err(Mistake::new(self.at, "names in backticks are not enabled in Kubernetes: use ['…']")),
            _ => Err(self.unexpected("the name of a field or function")),
        }
    }

    fn call(&self, at: usize, name: &str, arguments: Vec<Node>) -> Result<Node, Mistake> {
        self.call_on(at, name, None, arguments)
    }

    fn call_on(&self, at: usize, name: &str, target: Option<Node>, arguments: Vec<Node>) -> Result<Node, Mistake> {
        let below = target.iter().chain(&arguments).map(|node| node.depth).max().unwrap_or(0);
        let depth = self.deeper(at, below)?;
        let syntax = Syntax::Call { name: name.to_owned(), target: target.map(Box::new), arguments };
        Ok(Node { at, depth, syntax })
    }

    fn deeper(&self, at: usize, below: usize) -> Result<usize, Mistake> {
        if below < MAX_DEPTH { Ok(below + 1) } else { Err(self.too_deep(at)) }
    }

    fn too_deep(&self, at: usize) -> Mistake {
        Mistake::new(at, format!("the expression nests deeper than {MAX_DEPTH} levels"))
    }

    fn advance(&mut self) -> Result<(), Mistake> {
        (self.at, self.token) = self.lexer.next()?;
        Ok(())
    }

    fn eat(&mut self, sign: &str) -> Result<bool, Mistake> {
        let found = self.token == Token::Sign(sign);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, sign: &str) -> Result<(), Mistake> {
        if self.eat(sign)? { Ok(()) } else { Err(self.unexpected(&format!("'{sign}'"))) }
    }

    fn unexpected(&self, wanted: &str) -> Mistake {
        Mistake::new(self.at, format!("syntax error: expected {wanted}, found {}", self.token))
    }
}

/// Characters, as in cel-go.
pub(super) const MAX_SIZE: usize = 100_000;
/// Of brackets, and of operators and calls, as in cel-go.
pub(super) const MAX_DEPTH: usize = 250;

const RELATIONS: [(&str, &str); 7] =
    [("<", "_<_"), ("<=", "_<=_"), (">=", "_>=_"), (">", "_>_"), ("==", "_==_"), ("!=", "_!=_"), ("in", "@in")];
