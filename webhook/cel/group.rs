//! An expression over policies: each is a function without arguments that says whether it allows, as in `a() && !b()`. Asked lazily, from
//! left to right, so that what cannot change the result is not asked.

use super::{
    on_deep_stack,
    parser::{Mistake, Node, Syntax, parse},
    value::Value,
};

/// A checked expression.
#[derive(Debug, Clone)]
pub struct Group(Tree);

#[derive(Debug, Clone)]
enum Tree {
    Constant(bool),
    /// By its position.
    Member(usize),
    Not(Box<Tree>),
    All(Vec<Tree>),
    Any(Vec<Tree>),
    Same(Box<[Tree; 2]>),
    If(Box<[Tree; 3]>),
}

impl Tree {
    fn asks(&self, member: usize) -> bool {
        match self {
            Self::Constant(_) => false,
            Self::Member(position) => *position == member,
            Self::Not(inner) => inner.asks(member),
            Self::All(trees) | Self::Any(trees) => trees.iter().any(|it| it.asks(member)),
            Self::Same(both) => both.iter().any(|it| it.asks(member)),
            Self::If(parts) => parts.iter().any(|it| it.asks(member)),
        }
    }
}

/// What is asked for a member.
pub trait Members {
    /// Why there is no answer.
    type Failure;

    /// Whether the member of this position allows; the same each time.
    fn ask(&mut self, member: usize) -> impl Future<Output = Result<bool, Self::Failure>> + Send;
}

impl Group {
    /// Parses and checks: only booleans, `&&`, `||`, `!`, `==`, `!=`, `? :` and the functions of these members.
    ///
    /// # Errors
    /// Words for the operator, with line and column.
    pub fn compile(expression: &str, members: &[&str]) -> Result<Self, String> {
        let made = on_deep_stack(|| {
            let made = parse(expression).and_then(|node| tree(&node, members));
            made.map(Self).map_err(|mistake| mistake.told(expression))
        });
        made.unwrap_or_else(|| Err("there is no thread to check the expression on".to_owned()))
    }

    /// Whether a member of this position is in it.
    pub fn asks(&self, member: usize) -> bool {
        self.0.asks(member)
    }

    /// Whether all of it allows. The first member that fails ends it.
    ///
    /// # Errors
    /// Of the member that failed.
    pub async fn eval<M: Members + Send>(&self, members: &mut M) -> Result<bool, M::Failure>
    where
        M::Failure: Send,
    {
        eval(&self.0, members).await
    }
}

/// As deep as the parser lets texts nest.
fn eval<'a, M: Members + Send>(
    tree: &'a Tree,
    members: &'a mut M,
) -> std::pin::Pin<Box<dyn Future<Output = Result<bool, M::Failure>> + Send + 'a>>
where
    M::Failure: Send,
{
    Box::pin(async move {
        Ok(match tree {
            Tree::Constant(value) => *value,
            Tree::Member(member) => members.ask(*member).await?,
            Tree::Not(inner) => !eval(inner, members).await?,
            Tree::All(trees) | Tree::Any(trees) => {
                let decides = matches!(tree, Tree::Any(_));
                for tree in trees {
                    if eval(tree, members).await? == decides {
                        return Ok(decides);
                    }
                }
                !decides
            }
            Tree::Same(both) => {
                let [one, other] = &**both;
                eval(one, members).await? == eval(other, members).await?
            }
            Tree::If(parts) => {
                let [condition, yes, no] = &**parts;
                let chosen = if eval(condition, members).await? { yes } else { no };
                eval(chosen, members).await?
            }
        })
    })
}

fn tree(node: &Node, members: &[&str]) -> Result<Tree, Mistake> {
    let wrong = |words: String| Err(Mistake::new(node.at, words));
    let (name, arguments) = match &node.syntax {
        Syntax::Literal(Value::Bool(value)) => return Ok(Tree::Constant(*value)),
        Syntax::Call { name, target: None, arguments } => (name.as_str(), arguments),
        Syntax::Identifier(name) if members.contains(&name.as_str()) => {
            return wrong(format!("{name} is a policy: write {name}()"));
        }
        _ => return wrong(format!("expected policies and &&, ||, !, ==, != or ? : between them; {}", listed(members))),
    };
    let trees = |arguments: &[Node]| arguments.iter().map(|it| tree(it, members)).collect::<Result<Vec<_>, _>>();
    Ok(match (name, &arguments[..]) {
        ("_&&_", all) => Tree::All(trees(all)?),
        ("_||_", any) => Tree::Any(trees(any)?),
        ("!_", [inner]) => Tree::Not(Box::new(tree(inner, members)?)),
        ("_==_", [one, other]) => Tree::Same(Box::new([tree(one, members)?, tree(other, members)?])),
        ("_!=_", [one, other]) => {
            Tree::Not(Box::new(Tree::Same(Box::new([tree(one, members)?, tree(other, members)?]))))
        }
        ("_?_:_", [condition, yes, no]) => {
            Tree::If(Box::new([tree(condition, members)?, tree(yes, members)?, tree(no, members)?]))
        }
        (name, arguments) => match members.iter().position(|it| *it == name) {
            Some(member) if arguments.is_empty() => Tree::Member(member),
            Some(_) => return wrong(format!("{name} takes no arguments")),
            None => return wrong(format!("{name} is no policy of this group; {}", listed(members))),
        },
    })
}

fn listed(members: &[&str]) -> String {
    format!("there are {}", members.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each says, and who was asked.
    struct Said(Vec<Result<bool, usize>>, Vec<usize>);

    impl Members for Said {
        type Failure = usize;

        async fn ask(&mut self, member: usize) -> Result<bool, usize> {
            self.1.push(member);
            self.0[member]
        }
    }

    async fn eval(expression: &str, said: [Result<bool, usize>; 3]) -> (Result<bool, usize>, Vec<usize>) {
        let mut said = Said(said.to_vec(), Vec::new());
        let result = Group::compile(expression, &["a", "b", "c"]).unwrap().eval(&mut said).await;
        (result, said.1)
    }

    #[tokio::test]
    async fn members_are_asked_lazily_and_failures_end_it() {
        let (yes, no) = (Ok(true), Ok(false));
        for (expression, said, result, asked) in [
            ("a()", [yes, no, no], yes, &[0][..]),
            ("a() && b() && c()", [yes, no, yes], no, &[0, 1]),
            ("a() || b() || c()", [no, yes, no], yes, &[0, 1]),
            ("a() || (b() && !c())", [no, yes, no], yes, &[0, 1, 2]),
            ("a() == b()", [no, no, no], yes, &[0, 1]),
            ("a() != b()", [no, no, no], no, &[0, 1]),
            ("a() ? b() : c()", [no, no, yes], yes, &[0, 2]),
            ("true || a()", [no, no, no], yes, &[]),
            ("!a()", [Err(7), no, no], Err(7), &[0]),
            ("!a() || b()", [Err(7), yes, no], Err(7), &[0]),
            ("b() || a()", [Err(7), yes, no], yes, &[1]),
        ] {
            let group = Group::compile(expression, &["a", "b", "c"]).unwrap();
            assert!(asked.iter().all(|it| group.asks(*it)), "{expression}");
            assert_eq!(eval(expression, said).await, (result, asked.to_vec()), "{expression}");
        }
    }

    #[test]
    fn what_is_no_such_expression_is_told() {
        for (expression, expected) in [
            ("a() &&", "syntax error"),
            ("d()", "d is no policy of this group; there are a, b"),
            ("a(1)", "a takes no arguments"),
            ("a", "a is a policy: write a()"),
            ("1 + 1", "_+_ is no policy of this group"),
            ("'x'", "expected policies and &&"),
            ("[a()].all(x, x)", "expected policies and &&"),
        ] {
            let words = Group::compile(expression, &["a", "b"]).unwrap_err();
            assert!(words.contains(expected), "{expression}: {words}");
        }
    }
}
