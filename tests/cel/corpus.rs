//! The expressions and reviews below `tests/cel`, and what is asked about them.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::support::corpus::files;

/// A review that expressions are asked about.
pub struct Review {
    pub name: String,
    pub json: Box<RawValue>,
    pub access: bool,
}

/// An expression and the reviews that it is asked about.
#[derive(Serialize)]
pub struct Question {
    pub expression: String,
    pub reviews: Vec<String>,
    /// The file that it is from.
    #[serde(skip)]
    pub origin: String,
}

/// In the order of their names, so that runs can be compared.
pub fn reviews() -> Vec<Review> {
    let read = |(name, text): (String, String)| Review {
        json: serde_json::from_str(&text).unwrap_or_else(|error| panic!("reviews/{name}.json: {error}")),
        access: text.contains("\"SubjectAccessReview\""),
        name,
    };
    files("cel/reviews").into_iter().map(read).collect()
}

/// The expressions of the corpus and those of cel-spec.
pub fn questions(reviews: &[Review], conformance: &[String]) -> Vec<Question> {
    let mut questions = Vec::new();
    for (origin, text) in files("cel/expressions") {
        for line in lines(&text) {
            questions.push(question(&origin, line, reviews));
        }
    }
    questions.extend(conformance.iter().map(|expression| question("cel-spec", expression, reviews)));
    questions
}

/// Expressions that are known to differ, and why is written above them.
pub fn known() -> Vec<String> {
    files("cel/known").iter().flat_map(|(_, text)| lines(text)).map(str::to_owned).collect()
}

/// Without comments.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with("# "))
}

/// What reads no variable is asked about one review only.
pub fn question(origin: &str, expression: &str, reviews: &[Review]) -> Question {
    let access = origin.starts_with("access");
    // `object` and `oldObject`.
    let many = access || expression.contains("bject") || expression.contains("request");
    let kind = reviews.iter().filter(|review| review.access == access).map(|review| review.name.clone());
    Question {
        expression: expression.to_owned(),
        reviews: kind.take(if many { usize::MAX } else { 1 }).collect(),
        origin: origin.to_owned(),
    }
}
