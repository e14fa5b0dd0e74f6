//! Kubernetes' answer to a question beside ours.

use std::{
    cmp::Ordering,
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde::Deserialize;
use serde_json::Value as Json;
use verdict::{
    cel::{Budget, Condition, Expression, Subject, Variables},
    review::{access, admission},
};

use super::corpus::{Question, Review};

/// Of one expression: no deadline that a busy machine could miss.
const PATIENCE: Duration = Duration::from_secs(60);

/// What `tests/cel-oracle` writes for a question.
#[derive(Deserialize)]
pub struct Answer {
    /// Why Kubernetes refuses it as a match condition.
    #[serde(default)]
    refused: String,
    /// Why Kubernetes refuses it as an expression of any type.
    #[serde(default)]
    invalid: String,
    /// Kubernetes' own code panicked: nothing to compare with.
    #[serde(default)]
    panic: String,
    /// In the order of the question's reviews.
    #[serde(default)]
    results: Vec<Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    #[serde(default)]
    value: String,
    #[serde(default)]
    error: String,
    /// Zero: not known.
    #[serde(default)]
    cost: u64,
}

/// The variables of each review, as the server gives them to conditions.
pub struct Reviews(BTreeMap<String, Variables>);

impl Reviews {
    pub fn new(reviews: &[Review]) -> Self {
        Self(reviews.iter().map(|review| (review.name.clone(), variables(review))).collect())
    }
}

/// How many costs are what Kubernetes counts, and how many are less, as where an error is absorbed.
#[derive(Debug, Default)]
pub struct Costs {
    pub equal: usize,
    pub less: usize,
}

/// One line for each difference. A cost that is more than Kubernetes counts is one: it could stop what is let through
/// there.
pub fn differences(question: &Question, answer: &Answer, reviews: &Reviews, costs: &mut Costs) -> Vec<String> {
    if !answer.panic.is_empty() {
        return Vec::new();
    }
    let expression = &question.expression;
    let access = question.origin.starts_with("access");
    let subject = if access { Subject::SubjectAccessReview } else { Subject::Admission };
    let mut found = Vec::new();
    let mut differ = |what: &str, theirs: &str, ours: &str| {
        let [theirs, ours] = [theirs, ours].map(shorten);
        found.push(format!(
            "{}: {what}: {expression}\n    Kubernetes: {theirs}\n    Verdict:    {ours}",
            question.origin
        ));
    };
    match (answer.refused.is_empty(), Condition::compile("c", expression, subject)) {
        (true, Err(words)) if !is_missing(&words) => differ("load", "loads it", &words),
        (false, Ok(_)) => differ("load", &answer.refused, "loads it"),
        _ => {}
    }
    if access && !answer.refused.is_empty() {
        return found;
    }
    let compiled = match (answer.invalid.is_empty(), Expression::compile(expression, subject)) {
        (true, Ok(compiled)) => compiled,
        (true, Err(words)) => {
            if !is_missing(&words) {
                differ("compile", "compiles it", &words);
            }
            return found;
        }
        (false, Ok(_)) => {
            differ("compile", &answer.invalid, "compiles it");
            return found;
        }
        (false, Err(_)) => return found,
    };
    for (review, theirs) in question.reviews.iter().zip(&answer.results) {
        let mut budget = Budget::new(Instant::now() + PATIENCE);
        let ours = compiled.show(&reviews.0[review], &mut budget).map_err(|error| error.to_string());
        if ours.is_ok() && theirs.error.is_empty() && theirs.cost != 0 {
            match budget.spent().cmp(&theirs.cost) {
                Ordering::Equal => costs.equal += 1,
                Ordering::Less => costs.less += 1,
                Ordering::Greater => {
                    differ(&format!("cost on {review}"), &theirs.cost.to_string(), &budget.spent().to_string());
                }
            }
        }
        match (theirs.error.is_empty(), &ours) {
            (true, Ok(value)) if *value == theirs.value => {}
            // What the named formats say of a text are words, which may differ.
            (true, Ok(value)) if [value, &theirs.value].iter().all(|value| complains(expression, value)) => {}
            (true, Ok(value)) => differ(&format!("value on {review}"), &theirs.value, value),
            (true, Err(words)) => differ(&format!("error on {review}"), &theirs.value, words),
            (false, Ok(value)) => differ(&format!("no error on {review}"), &theirs.error, value),
            (false, Err(_)) => {}
        }
    }
    found
}

/// Whether it is what a named format says of a text.
fn complains(expression: &str, value: &str) -> bool {
    expression.contains(".validate(") && value.starts_with("optional.of([")
}

/// Whether a refusal names what is missing here: what only a cluster can answer, and messages,
/// which Kubernetes' environment happens to have (`google.protobuf.Int64Value{value: 1}`).
fn is_missing(words: &str) -> bool {
    words.contains("cluster") || words.contains("messages such as ")
}

fn variables(review: &Review) -> Variables {
    let body = review.json.get().as_bytes();
    if review.access {
        let review = access::decode(body).expect("a SubjectAccessReview");
        return Variables::new(review.review.spec_json());
    }
    let request = admission::decode(body).expect("an AdmissionReview").review;
    let object = |raw: Option<&serde_json::value::RawValue>| {
        raw.map(|raw| serde_json::from_str::<Json>(raw.get()).expect("an object"))
    };
    Variables::new(request.request_json())
        .with_object(object(request.object))
        .with_old_object(object(request.old_object))
}

fn shorten(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > 200 { line.chars().take(200).chain("…".chars()).collect() } else { line }
}
