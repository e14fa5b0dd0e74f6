//! What Go's standard library makes of texts, for policies that were written against a program in Go: Kubernetes' match
//! conditions and OPA's builtins. Knows nothing of either.

pub(crate) mod quote;
pub(crate) mod regex;
pub(crate) mod time;
