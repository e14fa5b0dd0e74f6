//! Events: one provider, JSON in, JSON out.

use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use super::{Ask, Selection, checked, matching};
use crate::{
    engine::run::Answer,
    spec::{Failure, Interface},
};

impl Selection<'_> {
    /// The answer of the one provider selected, as JSON; a failure as a status code and short words.
    pub async fn handle_event(&self, ask: Ask<'_>) -> Result<Box<RawValue>, (u16, &'static str)> {
        let Some(policy) = self.policies().next() else { return Err((404, "no such policy")) };
        let begin = Instant::now();
        if let Some(watch) = ask.watch {
            watch.matched(&policy.spec.name, Interface::Provider, true, || matching::ALWAYS.to_owned());
        }
        policy.make_way().await;
        let answer = policy.template.handle_event(policy.call(ask, Duration::ZERO)).await;
        let Answer { result, usage, facts } = checked(answer, |text| {
            RawValue::from_string(text).map_err(|error| Failure::Answer(format!("it is not JSON: {error}")))
        });
        policy.record(ask, Interface::Provider, "", result.as_ref().map(|_| "answered"), usage, begin);
        if let Some(watch) = ask.watch {
            watch.wrote(&policy.spec.name, Interface::Provider, facts);
        }
        result.map_err(|failure| (failure.code(), failure.message()))
    }
}
