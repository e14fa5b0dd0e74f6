//! One operation of a guest by itself, outside of any review: bytes in, bytes out.

use wasmtime::{Store, component::Instance, format_err};

use super::{
    Answer, Call, HostCalls, Template,
    module::Asked,
    program::Exports,
    question::{Event, Question, Reply},
    state::State,
};
use crate::spec::Interface;

impl Template {
    /// The same, whose guests' host calls these answer.
    #[must_use]
    pub fn answering(mut self, host_calls: HostCalls) -> Self {
        self.host_calls = Some(host_calls);
        self
    }

    /// Calls the operation that `call` names: of a waPC guest any, of k8s-wasm a function, of a command its argument. A component's
    /// `handle-event` needs no name, and its input must be UTF-8.
    pub async fn call(&self, call: Call<'_>, input: &[u8]) -> Answer<Vec<u8>> {
        self.ask(call, &Operation(input)).await
    }
}

/// What goes in.
struct Operation<'a>(&'a [u8]);

impl Question for Operation<'_> {
    type Answer = Vec<u8>;
    /// Where it runs: no user waits for it to log in.
    const INTERFACE: Interface = Interface::Provider;
    const MAX_ANSWER: usize = 16 << 20;

    async fn put(&self, exports: &Exports, store: &mut Store<State>, instance: &Instance) -> Reply<Vec<u8>> {
        let event = str::from_utf8(self.0).map_err(|_| format_err!("the input is not UTF-8"))?;
        Ok(Event(event).put(exports, store, instance).await?.map(String::into_bytes))
    }

    async fn put_to_module(&self, asked: Asked<'_>) -> Reply<Vec<u8>> {
        let operation = asked.operation.ok_or_else(|| format_err!("no operation is named"))?;
        asked.module.ask(asked.store, asked.instance, operation, self.0.to_vec(), Self::MAX_ANSWER).await
    }
}
