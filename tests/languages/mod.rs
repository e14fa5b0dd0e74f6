//! What holds in every language alike: each check is written once, and asked of a component in each.
//!
//! Most are asked of the fixtures `misbehaving*`, which do the same deeds under the same names and give the same answers. What a language
//! says in its own words, or has by itself, is in its row of the table.

/// What arrives of answers, of requests and of what is granted.
mod answers;
/// What `verdict build` makes.
mod building;
/// What fails, and its words to the user.
mod failures;
mod guest;
/// The kinds of review that are no admission.
pub mod kinds;
/// What policies print, and why they failed.
mod log;
mod served;
/// That nothing of one review is found by another, and that clocks and random numbers are live.
mod state;
mod table;

pub use guest::Guest;
pub use served::Served;
pub use table::{GO, JAVASCRIPT, Language, PYTHON};

use std::{
    any::Any,
    path::{Path, PathBuf},
    thread,
};

use table::LANGUAGES;

/// Asks the guest of each language whose tools are here, all at once. What fails is told with its language.
async fn every<F: Future<Output = ()> + Send + 'static>(check: fn(&'static Guest) -> F) {
    let ask = |language, component: PathBuf| async move { check(Guest::of(language, &component).await).await };
    every_of(|language| (language.component)(), ask).await;
}

/// As [`every`], of another component in each language.
async fn every_of<F: Future<Output = ()> + Send + 'static>(
    component: fn(&Language) -> Option<PathBuf>,
    check: impl Fn(&'static Language, PathBuf) -> F,
) {
    let here = LANGUAGES.into_iter().filter_map(|language| Some((language, component(language)?)));
    let checks: Vec<_> =
        here.map(|(language, component)| (language, tokio::spawn(check(language, component)))).collect();
    let mut failed = Vec::new();
    for (language, check) in checks {
        if let Err(error) = check.await {
            failed.push(told(language, &*error.into_panic()));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// As [`every`], for what blocks: checks the component of each language.
pub fn every_component(check: impl Fn(&'static Language, &Path) + Sync) {
    let check = &check;
    let here = LANGUAGES.into_iter().filter_map(|language| Some((language, (language.component)()?)));
    let here: Vec<_> = here.collect();
    let failed: Vec<String> = thread::scope(|scope| {
        let checks: Vec<_> =
            here.iter().map(|(language, component)| (language, scope.spawn(|| check(language, component)))).collect();
        let ended = checks.into_iter().map(|(language, check)| (language, check.join()));
        ended.filter_map(|(language, end)| Some(told(language, &*end.err()?))).collect()
    });
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

fn told(language: &Language, panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("in {}: {}", language.name, text.unwrap_or("it panicked"))
}
