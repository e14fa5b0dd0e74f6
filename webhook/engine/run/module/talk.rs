//! What a module and the host say to each other in one call.

use wasmtime_wasi::WasiCtxBuilder;

use super::{opa::Builtins, pipe::Pipe};
use crate::component::protocol::Protocol;

/// The host's side of it.
pub(in crate::engine::run) struct Talk {
    /// Whether standard output is the answer to a call. Where it is not, and before the first one, it is printed.
    pub(super) by_stdio: bool,
    called: bool,
    pub(super) stdin: Pipe,
    pub(super) stdout: Pipe,
    /// What waPC calls an operation, and a command its argument.
    pub(super) operation: String,
    /// Not yet given to the guest.
    pub(super) input: Vec<u8>,
    /// Bytes that the answer may have.
    pub(super) most: usize,
    pub(super) answer: Option<Vec<u8>>,
    /// The guest's own words for why there is none.
    pub(super) error: Option<Vec<u8>>,
    /// Whether the guest asked the host for more than a line of the log, since the instance was made.
    pub(super) asked_host: bool,
    /// While a Rego policy is asked.
    pub(super) builtins: Option<Builtins>,
    /// What the host answered to the guest's last call.
    pub(super) host: Result<Vec<u8>, Vec<u8>>,
}

impl Talk {
    pub(super) fn new(protocol: Protocol) -> Self {
        Self {
            by_stdio: matches!(protocol, Protocol::K8sWasmWasi | Protocol::KubewardenWasi),
            called: false,
            stdin: Pipe::default(),
            stdout: Pipe::default(),
            operation: String::new(),
            input: Vec::new(),
            most: 0,
            answer: None,
            error: None,
            asked_host: false,
            builtins: None,
            host: Ok(Vec::new()),
        }
    }

    /// Nothing of the last call is left.
    pub(super) fn begin(&mut self, operation: &str, input: Vec<u8>, most: usize) {
        operation.clone_into(&mut self.operation);
        self.called = true;
        self.most = most;
        self.answer = None;
        self.error = None;
        self.builtins = None;
        self.host = Ok(Vec::new());
        self.stdout.empty(most);
        if self.by_stdio {
            self.stdin.fill(input);
        } else {
            self.input = input;
        }
    }

    /// Nothing of the last call is kept until the next.
    pub(in crate::engine::run) fn rest(&mut self) {
        self.begin("", Vec::new(), 0);
    }

    /// Gives WASI its standard streams and, for a command, its arguments.
    pub(in crate::engine::run) fn connect(&self, wasi: &mut WasiCtxBuilder) {
        if self.by_stdio && self.called {
            wasi.stdin(self.stdin.clone()).stdout(self.stdout.clone());
            wasi.args(&["policy.wasm", self.operation.as_str()]);
        }
    }

    /// Whether the guest wrote more than an answer may have.
    pub(in crate::engine::run) fn overflowed(&self) -> bool {
        self.by_stdio && self.stdout.overflowed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_review_rests() {
        for protocol in [Protocol::K8sWasmWasi, Protocol::KubewardenWapc] {
            let mut talk = Talk::new(protocol);
            talk.begin("validate", b"a review".to_vec(), 10);
            talk.answer = Some(b"an answer".to_vec());
            talk.host = Err(b"words".to_vec());
            talk.rest();
            assert!(talk.stdin.take().is_empty() && talk.stdout.take().is_empty() && talk.operation.is_empty());
            assert!(talk.input.is_empty() && talk.answer.is_none() && talk.host == Ok(Vec::new()));
        }
    }
}
