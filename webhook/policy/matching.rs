//! Which requests a policy is asked about: Kubernetes' matchConstraints and matchConditions.

use crate::{
    config::schema::MatchSpec,
    engine::Interface,
    review::{access::SubjectAccessReview, admission::AdmissionRequest, token::TokenReview},
};

/// `spec.match`, compiled.
pub struct Match {}

impl Match {
    /// Compiles the conditions for every kind of review that `interfaces` are asked. Errors: the field below
    /// `spec.match`, and what is wrong with it.
    pub fn compile(spec: &MatchSpec, interfaces: &[Interface]) -> Result<Self, Vec<(String, String)>> {
        let _ = (spec, interfaces);
        todo!()
    }

    /// `object`: the object as changed so far in a chain of mutators; None: as it came.
    pub fn admission(&self, request: &AdmissionRequest<'_>, object: Option<&str>) -> Result<bool, String> {
        let _ = (request, object);
        todo!()
    }

    /// Conditions only.
    pub fn authentication(&self, review: &TokenReview) -> Result<bool, String> {
        let _ = review;
        todo!()
    }

    /// Conditions only.
    pub fn authorization(&self, review: &SubjectAccessReview) -> Result<bool, String> {
        let _ = review;
        todo!()
    }
}
