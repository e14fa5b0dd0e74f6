//! How long a policy that may take 100 ms takes when it would take for ever, as its caller sees it.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::{
    answer::{Expected, Outcome},
    client::{Connection, Target},
    histogram::Histogram,
    reviews,
    scenarios::validator,
    server::{Folder, Server},
    support::fixtures,
};

/// Of one deed, milliseconds.
#[derive(Serialize)]
pub(crate) struct Limit {
    pub(crate) deed: String,
    pub(crate) min: f64,
    pub(crate) p50: f64,
    pub(crate) max: f64,
    /// How many reviews.
    pub(crate) reviews: u64,
}

/// A policy with a limit of 100 ms in guest code, in a sleep and in host calls; first a review that asks nobody.
pub(crate) async fn measure(folder: &Folder, reviews: usize) -> anyhow::Result<Vec<Limit>> {
    let component = format!("{{path: {}}}", fixtures::misbehaving("admission").display());
    let limits = "  limits: {timeoutMilliseconds: 100, memory: 16Mi}\n";
    let mut found = Vec::new();
    for (deed, does) in DEEDS {
        let resource = if deed == "nothing" { "secrets" } else { "configmaps" };
        let name = format!("limit-{deed}");
        let policy = validator(&name, &component, &format!("{{do: {deed}}}"), resource, limits);
        let server = Server::verdict(&name, folder, &policy)?;
        let outcome = if deed == "nothing" { Outcome::Allowed } else { Outcome::TimedOut };
        let target = Target::new(server.https, "/validate", &reviews::config_map(), Expected::new(outcome))?;
        let mut connection = Connection::open(&target).await?;
        let mut took = Histogram::default();
        // The first is not counted: nothing of it is warm.
        for number in 0..=reviews {
            let begin = Instant::now();
            connection.ask(&target).await?;
            if number > 0 {
                took.record(begin.elapsed());
            }
            // Not in step with the server's ticks.
            tokio::time::sleep(Duration::from_millis(number as u64 % 7)).await;
        }
        eprintln!("{name:>16}: {:.1} to {:.1} ms", took.min() / 1000.0, took.max() / 1000.0);
        found.push(Limit {
            deed: does.to_owned(),
            min: took.min() / 1000.0,
            p50: took.quantile(0.5) / 1000.0,
            max: took.max() / 1000.0,
            reviews: took.count(),
        });
    }
    Ok(found)
}

/// What the fixture is told, and what that is.
const DEEDS: [(&str, &str); 4] = [
    ("nothing", "no policy asked, for comparison"),
    ("loop", "in guest code"),
    ("sleep", "in a sleep"),
    ("host-calls", "in host calls"),
];
