//! A loaded policy, what it matches, and how the answers of several fold to one verdict.
//!
//! Once a review is decoded, everything here is infallible: every outcome, failures included, is a verdict.

pub mod matching;

use std::{sync::Arc, time::Instant};

use serde_json::value::RawValue;

use crate::{
    config::schema::PolicySpec,
    engine::Interface,
    review::{
        access::{Ruling, SubjectAccessReview},
        admission::AdmissionRequest,
        token::TokenReview,
        verdict::{AdmissionVerdict, TokenVerdict},
    },
};

/// All policies that are loaded: one immutable value.
pub struct Set {
    policies: Vec<Arc<Policy>>,
}

/// One loaded policy.
pub struct Policy {
    /// As written, with everything resolved.
    pub spec: PolicySpec,
    /// What it exports, so what it is asked.
    pub interfaces: Vec<Interface>,
}

/// The policies that one request asks: all of a kind, or one by name.
pub struct Selection<'a> {
    policies: Vec<&'a Policy>,
}

/// One request's circumstances.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// The body as it came.
    pub raw: &'a str,
    /// When the caller must have its answer.
    pub deadline: Instant,
}

/// The verdict of authorizers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorization {
    /// An answer that kube-apiserver may cache.
    Decided(Ruling),
    /// A policy failed and nothing may be cached: HTTP 503 without Retry-After, with these short words.
    Unavailable(String),
}

impl Set {
    /// All policies of `interface`, in order, or the one named, if it exports `interface`. None: no such policy.
    pub fn select(&self, interface: Interface, name: Option<&str>) -> Option<Selection<'_>> {
        let _ = (interface, name);
        todo!()
    }

    /// All policies, in order.
    pub fn policies(&self) -> &[Arc<Policy>] {
        &self.policies
    }
}

impl Selection<'_> {
    pub async fn authenticate(&self, ask: Ask<'_>, review: &TokenReview) -> TokenVerdict {
        let _ = (&self.policies, ask, review);
        todo!()
    }

    pub async fn authorize(&self, ask: Ask<'_>, review: &SubjectAccessReview) -> Authorization {
        let _ = (ask, review);
        todo!()
    }

    pub async fn validate(&self, ask: Ask<'_>, request: &AdmissionRequest<'_>) -> AdmissionVerdict {
        let _ = (ask, request);
        todo!()
    }

    pub async fn mutate(&self, ask: Ask<'_>, request: &AdmissionRequest<'_>) -> AdmissionVerdict {
        let _ = (ask, request);
        todo!()
    }

    /// The answer of the one provider selected, as JSON; a failure as short words and a status code.
    pub async fn handle_event(&self, ask: Ask<'_>) -> Result<Box<RawValue>, (u16, &'static str)> {
        let _ = ask;
        todo!()
    }
}
