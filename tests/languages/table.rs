//! The languages, and in what they differ.

use std::{path::PathBuf, sync::OnceLock};

use tokio::sync::OnceCell;

use super::{Guest, Served, building};
use crate::support::{fixtures, node};

/// A language in which policies are written.
pub struct Language {
    pub name: &'static str,
    /// The component that misbehaves as a validator and as a mutator. Without the language's tools there is none, and the test is named as skipped.
    pub component: fn() -> Option<PathBuf>,
    /// What `verdict build` makes; none for Rust, which Cargo builds, and whose policies `tests/guests.rs` tests.
    pub built: Option<Built>,
    /// What the operator is told where `init` throws.
    pub trap_in_init: &'static str,
    /// What a reused instance finds of its first review, whose uid is `first`; in Rust it goes on with addresses.
    pub found: &'static str,
    /// How many random numbers, clocks and clocks that began with `init` the deed `live` reads.
    pub live: [usize; 3],
    /// How many clocks the deed `clock` reads.
    pub clocks: usize,
    /// Whether it can sleep.
    pub sleeps: bool,
    /// How a file that cannot be opened is refused; none where there is nothing that opens files.
    pub no_file: Option<&'static str>,
    /// Whether its objects are values in which numbers that are moved stay as they are written.
    pub moves: bool,
    /// The deeds that fail, beside those that fail in each language, and the metric's label.
    pub failures: &'static [(&'static str, &'static str)],
    /// Lines of the log, beside those of each language, after the deed.
    pub lines: &'static [(&'static str, &'static [&'static str])],
    pub guest: OnceCell<Guest>,
    pub served: OnceLock<Served>,
}

/// What `verdict build` makes in a language.
pub struct Built {
    /// The policy that exists in every language.
    pub required_labels: fn() -> Option<PathBuf>,
    /// The policy that forgets to answer.
    pub forgetful: fn() -> Option<PathBuf>,
    /// What answers the kinds of review that are no admission; none for Go, see `tests/go_kinds.rs`.
    pub kinds: Option<Kinds>,
    /// What required-labels imports; `wasi` stands for all of WASI.
    pub imports: &'static [&'static str],
    /// Where the component that misbehaves can be built again: folders with the same sources, of which some may lie below the given one.
    pub sources: fn(&std::path::Path) -> Vec<PathBuf>,
    /// Runs the unit tests of the SDK and of the policy that exists in every language.
    pub unit_tests: fn(),
}

/// A component that answers the kinds of review that are no admission.
pub struct Kinds {
    pub component: fn() -> Option<PathBuf>,
    /// How it writes the number 1.10 of an event.
    pub number: &'static str,
}

pub const LANGUAGES: [&Language; 4] = [&RUST, &GO, &JAVASCRIPT, &PYTHON];

static RUST: Language = Language {
    name: "Rust",
    component: || Some(fixtures::misbehaving("admission")),
    built: None,
    trap_in_init: "init failed: the policy trapped",
    found: "found a mark at [0, ",
    live: [2, 1, 1],
    clocks: 2,
    sleeps: true,
    no_file: Some("No such file or directory (os error 44)"),
    moves: false,
    failures: &[("trap", "trap"), ("exit", "trap"), ("sleep", "timeout"), ("hog-memory-and-answer", "memory")],
    lines: &[
        ("trap", &["panicked at ", ": trapped on purpose ("]),
        ("exit", &["the policy ended itself with status 3"]),
    ],
    guest: OnceCell::const_new(),
    served: OnceLock::new(),
};

pub static GO: Language = Language {
    name: "Go",
    component: || fixtures::go("fixtures/misbehaving-go"),
    built: Some(Built {
        required_labels: || fixtures::go("required-labels-go"),
        forgetful: || fixtures::go("fixtures/forgetful-go"),
        kinds: None,
        imports: &[
            "verdict:admission/admission@1.0.0",
            "verdict:guest-runtime/guest-runtime@1.0.0",
            "verdict:policy/types@1.0.0",
        ],
        sources: building::in_go,
        unit_tests: building::unit_tests_in_go,
    }),
    trap_in_init: "init failed: the policy trapped",
    found: "found global, heap first, map first, channel first, environment, what init kept was changed",
    live: [2, 1, 1],
    clocks: 2,
    sleeps: true,
    no_file: Some("open /etc/passwd: Bad file number"),
    moves: false,
    failures: &[("no-answer", "guest_error"), ("trap", "trap"), ("exit", "trap"), ("sleep", "timeout")],
    lines: &[
        ("trap", &["panic: trapped on purpose", "main.misbehave"]),
        ("exit", &["the policy ended itself with status 3"]),
        ("no-answer", &["the policy gave no answer: return validating.Allow()"]),
    ],
    guest: OnceCell::const_new(),
    served: OnceLock::new(),
};

pub static JAVASCRIPT: Language = Language {
    name: "JavaScript",
    component: || node::component("fixtures/misbehaving-js"),
    built: Some(Built {
        required_labels: || node::component("required-labels-js"),
        forgetful: || node::component("fixtures/forgetful-js"),
        kinds: Some(Kinds { component: || node::component("fixtures/kinds-js"), number: "1.1" }),
        imports: &[
            "verdict:admission/admission@1.0.0",
            "verdict:guest-runtime/guest-runtime@1.0.0",
            "verdict:host/audit-log@1.0.0",
            "verdict:host/log@1.0.0",
            "verdict:policy/types@1.0.0",
        ],
        sources: building::in_javascript,
        unit_tests: building::unit_tests_in_javascript,
    }),
    trap_in_init: "TypeError: failed in init",
    found: "found list first, global, prototype",
    live: [2, 1, 0],
    clocks: 3,
    sleeps: false,
    no_file: None,
    moves: true,
    failures: &[("no-answer", "guest_error"), ("promise", "guest_error"), ("hog-memory-and-answer", "memory")],
    lines: &[
        ("print", &["printed in init {\"a\":[1]}", "Error: printed 1"]),
        ("error", &["RangeError: thrown on purpose for u"]),
        ("no-answer", &["validate must return allow() or deny(message), got nothing"]),
        ("promise", &["validate returned a promise"]),
    ],
    guest: OnceCell::const_new(),
    served: OnceLock::new(),
};

pub static PYTHON: Language = Language {
    name: "Python",
    component: || fixtures::python("fixtures/misbehaving-python"),
    built: Some(Built {
        required_labels: || fixtures::python("required-labels-python"),
        forgetful: || fixtures::python("fixtures/forgetful-python"),
        kinds: Some(Kinds { component: || fixtures::python("fixtures/kinds-python"), number: "1.10" }),
        imports: &[
            "verdict:admission/admission@1.0.0",
            "verdict:guest-runtime/guest-runtime@1.0.0",
            "verdict:host/audit-log@1.0.0",
            "verdict:host/log@1.0.0",
            "verdict:policy/types@1.0.0",
            "wasi",
        ],
        sources: building::in_python,
        unit_tests: building::unit_tests_in_python,
    }),
    trap_in_init: "ValueError: failed in init",
    found: "found list first, module, environment",
    live: [4, 2, 1],
    clocks: 7,
    sleeps: true,
    no_file: Some("[Errno 44] No such file or directory: '/etc/passwd'"),
    moves: true,
    failures: &[
        ("error-elsewhere", "guest_error"),
        ("no-answer", "guest_error"),
        ("exit", "guest_error"),
        ("open-file", "guest_error"),
        ("late-import", "guest_error"),
        ("half-a-character", "guest_error"),
        ("recurse-and-rename", "stack"),
        ("hog-memory-and-answer", "memory"),
        ("sleep", "timeout"),
    ],
    lines: &[
        ("print", &["printed while it is built"]),
        ("error", &["KeyError: 'could not decide, secret-detail' (policy.py:"]),
        ("error-elsewhere", &["KeyError: 'nothing' (words.py:5)"]),
        ("exit", &["SystemExit: 3 (policy.py:"]),
        ("no-answer", &["validate returned None: expected Allow or Deny"]),
        ("late-import", &["No module named 'decimal' (import it at the top of the module"]),
    ],
    guest: OnceCell::const_new(),
    served: OnceLock::new(),
};
