//! Several conditions that must all be true, as Kubernetes decides it: one that is false counts whatever others say, and only
//! then does one count that cannot be evaluated.

use std::time::Instant;

use super::{Budget, Condition, Reads, Subject, Unevaluated, Variables};
use crate::turn;

/// Conditions that share one budget for each review.
#[derive(Clone, Default)]
pub struct Conditions {
    all: Vec<Condition>,
    reads: Reads,
}

/// A condition that has no value while none is false.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecided {
    /// Where it stands among the conditions.
    pub position: usize,
    /// Why it has none. Users can inflate an object until a limit is used up, so that comes before what else is wrong.
    pub why: Unevaluated,
}

impl Conditions {
    /// Compiles each, by its name and its expression.
    ///
    /// # Errors
    /// Where each wrong one stands, with words for the operator; never empty.
    pub fn compile<'a>(
        named: impl IntoIterator<Item = (&'a str, &'a str)>,
        subject: Subject,
    ) -> Result<Self, Vec<(usize, String)>> {
        let (mut conditions, mut wrong) = (Self::default(), Vec::new());
        for (position, (name, expression)) in named.into_iter().enumerate() {
            match Condition::compile(name, expression, subject) {
                Ok(condition) => {
                    conditions.reads.merge(condition.reads());
                    conditions.all.push(condition);
                }
                Err(words) => wrong.push((position, words)),
            }
        }
        if wrong.is_empty() { Ok(conditions) } else { Err(wrong) }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// What they read of a review together.
    pub fn reads(&self) -> &Reads {
        &self.reads
    }

    /// The first that is false; None: all are true. Gives its thread to others in between.
    ///
    /// # Errors
    /// None is false, and one cannot be evaluated until `deadline`.
    pub async fn first_false(&self, variables: &Variables, deadline: Instant) -> Result<Option<usize>, Undecided> {
        loop {
            let end = turn::must_leave_at().map_or(deadline, |it| it.min(deadline));
            match self.once(variables, end).await {
                // They are begun again on a thread that they may keep: nothing that they did is seen.
                Err(Undecided { why: Unevaluated::Deadline, .. }) if end < deadline => turn::leave().await,
                ended => return ended,
            }
        }
    }

    async fn once(&self, variables: &Variables, end: Instant) -> Result<Option<usize>, Undecided> {
        let mut budget = Budget::new(end);
        let (mut limit, mut wrong) = (None, None);
        for (position, condition) in self.all.iter().enumerate() {
            match condition.eval(variables, &mut budget) {
                Ok(true) => {}
                Ok(false) => return Ok(Some(position)),
                Err(why) => {
                    let undecided = Undecided { position, why };
                    match &undecided.why {
                        Unevaluated::Deadline => return Err(undecided),
                        Unevaluated::Limit(_) => limit = limit.or(Some(undecided)),
                        Unevaluated::Failed(_) => wrong = wrong.or(Some(undecided)),
                    }
                }
            }
            if turn::must_leave_at().is_none() {
                turn::pause().await;
            }
        }
        limit.or(wrong).map_or(Ok(None), Err)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    const COSTLY: &str = "object.n.all(x, x >= 0)";

    /// About an object `{n: [1, …]}` on which `COSTLY` uses up a limit.
    async fn decided(expressions: &[&str], patience: Duration) -> Result<Option<usize>, Undecided> {
        let conditions = Conditions::compile(expressions.iter().map(|it| ("c", *it)), Subject::Admission);
        let variables = Variables::new(json!({})).with_object(Some(json!({"n": vec![1; 200_000]})));
        conditions.unwrap().first_false(&variables, Instant::now() + patience).await
    }

    #[tokio::test]
    async fn the_first_false_one_counts_then_limits_then_errors() {
        let patient = Duration::from_secs(60);
        let wrong = "object.missing == 'a'";
        assert_eq!(decided(&[], patient).await, Ok(None));
        assert_eq!(decided(&["true", wrong, "false", "false"], patient).await, Ok(Some(2)));
        let undecided = decided(&["true", wrong, wrong], patient).await.unwrap_err();
        assert!(matches!(undecided, Undecided { position: 1, why: Unevaluated::Failed(_) }), "{undecided:?}");
        let limit = decided(&[wrong, COSTLY, COSTLY], patient).await.unwrap_err();
        assert!(matches!(limit, Undecided { position: 1, why: Unevaluated::Limit(_) }), "{limit:?}");
        assert_eq!(decided(&[wrong, COSTLY, "false"], patient).await, Ok(Some(2)));
        let late = decided(&[COSTLY, "false"], Duration::ZERO).await.unwrap_err();
        assert_eq!(late, Undecided { position: 0, why: Unevaluated::Deadline });
    }

    #[test]
    fn every_wrong_one_is_told_with_its_place() {
        let named = [("a", "true"), ("b", "1 +"), ("c", "nobody"), ("d", "false")];
        let wrong = Conditions::compile(named, Subject::TokenReview).map(|_| ()).unwrap_err();
        let places: Vec<usize> = wrong.iter().map(|(position, _)| *position).collect();
        assert_eq!(places, [1, 2]);
    }
}
