//! AdmissionReview: the request, the verdict of a validator, the change of a mutator.

pub(crate) mod change;
mod difference;
pub(crate) mod request;
pub(crate) mod verdict;
