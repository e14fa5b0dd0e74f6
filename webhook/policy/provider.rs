//! Events: one provider, JSON in, JSON out; and changes of objects, answered with what is to be done.

use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use super::{Ask, Policy, Selection, ask::Question, matching::Decision};
use crate::{
    engine::run::{Answer, Call, Template},
    review::{
        action::{self, Action, Said},
        change::Change,
    },
    spec::{Failure, Outcome},
};

impl Selection<'_> {
    /// The answer of the one provider selected, as JSON; a failure as a status code and short words.
    pub async fn handle_event(&self, ask: Ask<'_>) -> Result<Box<RawValue>, (u16, &'static str)> {
        self.told(ask, &Event).await.map_err(|failure| match failure {
            Some(failure) => (failure.code(), failure.message()),
            None => (404, "no such policy"),
        })
    }

    /// What the one provider selected wants done about `change`, of which `ask` has the JSON.
    ///
    /// # Errors
    /// It failed; None: there is no such policy.
    pub async fn handle_change(&self, ask: Ask<'_>, change: &Change<'_>) -> Result<Vec<Action>, Option<Failure>> {
        self.told(ask, change).await
    }

    /// What the one provider selected answers to a change, which `ask` has as JSON.
    ///
    /// # Errors
    /// It failed; None: there is no such policy.
    pub async fn told_of(&self, ask: Ask<'_>) -> Result<Box<RawValue>, Option<Failure>> {
        self.told(ask, &Event).await
    }

    async fn told<Q: Question>(&self, ask: Ask<'_>, question: &Q) -> Result<Q::Answer, Option<Failure>> {
        let policy = self.policies().next().ok_or(None)?;
        let decided = Ok(Decision::Asked(None));
        let asked = policy.asked(ask, None, decided, Instant::now(), Duration::ZERO).ok_or(None)?;
        asked.put(ask, question).await.map_err(Some)
    }
}

/// The event is the request as it came.
struct Event;

impl Question for Event {
    type Said = String;
    type Answer = Box<RawValue>;

    async fn put(&self, template: &Template, call: Call<'_>) -> Answer<String> {
        template.handle_event(call).await
    }

    async fn settle(&self, _: Ask<'_>, _: &Policy, said: String, _: Duration) -> Result<Box<RawValue>, Failure> {
        RawValue::from_string(said).map_err(|error| Failure::Answer(format!("it is not JSON: {error}")))
    }

    fn outcome(&self, _: &Policy, _: &Box<RawValue>) -> (Outcome, Option<String>) {
        (Outcome::Answered, None)
    }
}

impl Question for Change<'_> {
    type Said = Vec<Said>;
    type Answer = Vec<Action>;

    async fn put(&self, template: &Template, call: Call<'_>) -> Answer<Vec<Said>> {
        template.handle_change(call, self).await
    }

    async fn settle(&self, _: Ask<'_>, _: &Policy, said: Vec<Said>, _: Duration) -> Result<Vec<Action>, Failure> {
        action::checked(said).map_err(Failure::Answer)
    }

    fn outcome(&self, _: &Policy, _: &Vec<Action>) -> (Outcome, Option<String>) {
        (Outcome::Answered, None)
    }
}
