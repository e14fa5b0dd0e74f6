//! Events: one provider, JSON in, JSON out.

use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use super::{Ask, Policy, Selection, ask::Question, matching::Decision};
use crate::{
    engine::run::{Answer, Call, Template},
    spec::{Failure, Outcome},
};

impl Selection<'_> {
    /// The answer of the one provider selected, as JSON; a failure as a status code and short words.
    pub async fn handle_event(&self, ask: Ask<'_>) -> Result<Box<RawValue>, (u16, &'static str)> {
        let missing = (404, "no such policy");
        let policy = self.policies().next().ok_or(missing)?;
        let asked =
            policy.asked(ask, None, Ok(Decision::Asked(None)), Instant::now(), Duration::ZERO).ok_or(missing)?;
        asked.put(ask, &Event).await.map_err(|failure| (failure.code(), failure.message()))
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
