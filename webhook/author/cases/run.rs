//! Cases asked of policies, by the server's own way, several at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use serde_json::Value;

use super::{
    Came, Case, Mismatch, Setup,
    came::came,
    compare::WrongSetting,
    expect::Verdict,
    snapshot::{self, Compared},
};
use crate::{
    config::{self, ConfigError},
    engine::{prepare::Compiler, run::Engine},
    loader::Components,
    observe::{Metrics, Seen, Watch},
    policy::{Ask, Makers, Set},
    spec::{Limits, Line, PolicySpec},
};

/// Runs cases.
pub struct Runner {
    /// Where policies run.
    pub engine: Engine,
    /// What makes programs of them.
    pub compiler: Arc<Compiler>,
    /// Finds components.
    pub components: Components,
    /// The author's own policy; there must be one if any case has no files of policies.
    pub own: Option<PolicySpec>,
    /// Settings that the policy must take, each with a name.
    pub examples: Vec<Example>,
    /// Whether snapshots are written instead of compared.
    pub bless: bool,
}

/// Settings that the author gives as an example: where, their name, and what they are.
pub type Example = (PathBuf, String, Value);

/// What the author may want to know of examples that none of all the cases has as its settings.
pub fn unused(examples: &[Example], cases: &[Case]) -> Vec<String> {
    let used: Vec<Value> =
        cases.iter().filter_map(|it| serde_json::from_str(it.setup.settings.as_deref().unwrap_or("{}")).ok()).collect();
    let unused = examples.iter().filter(|(_, _, settings)| !used.contains(settings));
    unused.map(|(file, name, _)| format!("{}: no case uses {name}", file.display())).collect()
}

/// What came of all cases.
#[derive(Debug, Default)]
pub struct Results {
    /// In the order of the cases.
    pub done: Vec<Done>,
    /// What the author may want to know, and is not wrong.
    pub notes: Vec<String>,
    /// Snapshots that were written.
    pub blessed: Vec<PathBuf>,
}

/// What came of one case.
#[derive(Debug, Default)]
pub struct Done {
    /// The file that it stands in.
    pub file: PathBuf,
    /// Its name.
    pub name: String,
    /// In the policies.
    pub took: Duration,
    /// Bytes that the hungriest policy used.
    pub memory: usize,
    /// Empty: it passed.
    pub wrong: Vec<Mismatch>,
    /// What each policy logged and printed.
    pub log: Vec<(String, Line)>,
}

impl Results {
    /// How many cases passed, and how many failed.
    pub fn count(&self) -> (usize, usize) {
        let passed = self.done.iter().filter(|it| it.wrong.is_empty()).count();
        (passed, self.done.len() - passed)
    }
}

/// Why there is no set to ask: every wrong field.
type Loaded = Result<Arc<Set>, Vec<ConfigError>>;

impl Runner {
    /// Asks every case.
    ///
    /// # Errors
    /// A file of policies is wrong; never empty.
    pub async fn run(self, cases: Vec<Case>) -> Result<Results, Vec<ConfigError>> {
        let mut setups: BTreeSet<Setup> = cases.iter().map(|it| it.setup.clone()).collect();
        let env: BTreeMap<String, String> = cases.iter().flat_map(|it| it.setup.env.clone()).collect();
        // Examples have what any case has.
        let limits = cases.iter().map(|it| it.setup.limits).fold(Limits::default(), |one, other| Limits {
            time: one.time.max(other.time),
            memory: one.memory.max(other.memory),
            ..one
        });
        let of_example = |settings: &Value| Setup {
            settings: Some(settings.to_string()),
            env: env.clone(),
            limits,
            ..Setup::default()
        };
        setups.extend(self.examples.iter().map(|(_, _, settings)| of_example(settings)));
        let sets = self.load(setups).await?;

        let mut results = Results::default();
        for (file, name, settings) in &self.examples {
            let mut wrong = Vec::new();
            if let Some(Err(errors)) = sets.get(&of_example(settings)) {
                let words = errors.iter().map(words).collect::<Vec<_>>().join("\n");
                wrong.push(Mismatch::new("settings", TAKEN, words));
            }
            let (file, name) = (file.clone(), name.clone());
            results.done.push(Done { file, name, wrong, ..Done::default() });
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let bless = self.bless;
        let tasks = cases.into_iter().map(|case| {
            let set = sets.get(&case.setup).cloned();
            // A task of its own each, so that they run on all cores.
            let (file, name) = (case.file.clone(), case.name.clone());
            let task = tokio::spawn(async move { run(&case, set, bless).await });
            async move {
                task.await.unwrap_or_else(|_| {
                    let wrong =
                        vec![Mismatch::new("the case", "to end", "it crashed the test runner: please report it")];
                    (Done { file, name, wrong, ..Done::default() }, None)
                })
            }
        });
        let mut asked = stream::iter(tasks).buffered(cores);
        while let Some((done, blessed)) = asked.next().await {
            results.done.push(done);
            results.blessed.extend(blessed);
        }
        Ok(results)
    }

    async fn load(&self, setups: BTreeSet<Setup>) -> Result<BTreeMap<Setup, Loaded>, Vec<ConfigError>> {
        let mut loads = Vec::new();
        for setup in setups {
            let mut specs = if setup.policies.is_empty() {
                self.own
                    .iter()
                    .cloned()
                    .map(|own| PolicySpec { settings: setup.settings.clone(), limits: setup.limits, ..own })
                    .collect()
            } else {
                config::read(&setup.policies)?
            };
            for spec in &mut specs {
                spec.grants.env.extend(setup.env.clone());
            }
            let (engine, compiler) = (self.engine.clone(), Arc::clone(&self.compiler));
            let components = self.components.clone();
            loads.push(async move {
                let load = async move {
                    let makers = Makers { engine: &engine, compiler: &compiler, components: &components };
                    Set::load(makers, &Metrics::new(), specs).await.map(Arc::new)
                };
                (setup, tokio::spawn(load).await)
            });
        }
        let loaded: Vec<_> = stream::iter(loads).buffered(8).collect().await;
        let crashed = |error: tokio::task::JoinError| {
            let message = format!("loading it crashed: {error}");
            vec![ConfigError { source: "the policy".to_owned(), object: None, field: None, message }]
        };
        Ok(loaded.into_iter().map(|(setup, set)| (setup, set.unwrap_or_else(|error| Err(crashed(error))))).collect())
    }
}

/// The case, and the snapshot that was written.
async fn run(case: &Case, set: Option<Loaded>, bless: bool) -> (Done, Option<PathBuf>) {
    let mut done = Done { file: case.file.clone(), name: case.name.clone(), ..Done::default() };
    let came = match set {
        None => {
            done.wrong.push(Mismatch::new("policy", "a policy to ask", "there is none"));
            return (done, None);
        }
        Some(Err(errors)) => refused(&errors),
        Some(Ok(_)) if case.review.is_empty() => {
            let came = "the policy takes these settings";
            done.wrong.push(Mismatch::new("verdict", Verdict::SettingsError.name(), came));
            return (done, None);
        }
        Some(Ok(set)) => match ask(&set, case, &case.review, &mut done).await {
            Ok(came) => {
                if case.idempotent && case.expect.verdict != Some(Verdict::Error) {
                    again(&set, case, &came, &mut done).await;
                }
                came
            }
            Err(mismatch) => {
                done.wrong.push(mismatch);
                return (done, None);
            }
        },
    };
    done.wrong.splice(0..0, case.expect.compare(&came));
    if case.expect.snapshot {
        match snapshot::compare(case, &came, bless) {
            Compared::Same => {}
            Compared::Blessed(path) => return (done, Some(path)),
            Compared::Differs(mismatch) => done.wrong.push(mismatch),
        }
    }
    (done, None)
}

/// Of policies that cannot be loaded.
fn refused(errors: &[ConfigError]) -> Came {
    let of_settings = |it: &&ConfigError| it.field.as_ref().is_some_and(|field| field.starts_with("spec.settings"));
    if errors.iter().all(|it| of_settings(&it)) {
        let wrong = |it: &ConfigError| WrongSetting {
            field: it.field.clone().unwrap_or_default(),
            message: it.message.clone(),
        };
        let settings_errors = errors.iter().map(wrong).collect();
        return Came { verdict: Some(Verdict::SettingsError), settings_errors, ..Came::default() };
    }
    let message = errors.iter().map(words).collect::<Vec<_>>().join("\n");
    Came { verdict: Some(Verdict::Error), message, ..Came::default() }
}

/// Without the source, which is the component of all cases.
fn words(error: &ConfigError) -> String {
    match &error.field {
        Some(field) => format!("{field}: {}", error.message),
        None => error.message.clone(),
    }
}

async fn ask(set: &Set, case: &Case, review: &str, done: &mut Done) -> Result<Came, Mismatch> {
    let watch = Watch::default().listening().explaining();
    let limits: Duration = set.policies().iter().map(|it| it.spec().limits.time).sum();
    let begin = Instant::now();
    // Every policy may use all of its time, as mutator and as validator, and wait for its turn.
    let deadline = begin + limits * 2 + PATIENCE;
    let answered =
        set.answer(Ask { raw: review, deadline, watch: Some(&watch), trail: None, now: case.now, audit: false }).await;
    done.took += begin.elapsed();
    let answered =
        answered.map_err(|error| Mismatch::new("review", "one that the policy can be asked", error.to_string()))?;
    let mut seen = watch.take();
    for called in seen.iter().filter_map(|it| it.called.as_ref()) {
        done.memory = done.memory.max(called.usage.memory);
    }
    done.log.extend(seen.iter_mut().flat_map(lines));
    Ok(came(&answered, &seen))
}

fn lines(seen: &mut Seen) -> Vec<(String, Line)> {
    let lines = seen.called.as_mut().map(|it| std::mem::take(&mut it.usage.log)).unwrap_or_default();
    lines.into_iter().map(|line| (seen.policy.clone(), line)).collect()
}

/// Asks once more about the object as mutators left it, which must then be left alone.
async fn again(set: &Set, case: &Case, came: &Came, done: &mut Done) {
    let Some(object) = &came.object else { return };
    let Ok(mut review) = serde_json::from_str::<Value>(&case.review) else { return };
    review["request"]["object"] = object.clone();
    let expected = "no further change when its own result is sent again (or `idempotent: false` in the case)";
    // The time that is shown, and what was logged, are the first call's.
    match ask(set, case, &review.to_string(), &mut Done::default()).await {
        Err(mismatch) => done.wrong.push(mismatch),
        Ok(again) => {
            if let Some(changed) = &again.object {
                let mut mismatch = Mismatch::values("asked twice", object, changed);
                mismatch.expected = expected.to_owned();
                mismatch.came = "it changes it again".to_owned();
                done.wrong.push(mismatch);
            } else if again.verdict == Some(Verdict::Error) {
                done.wrong.push(Mismatch::new("asked twice", expected, again.message));
            }
        }
    }
}

const TAKEN: &str =
    "the policy to take its own example (or another schema: in Rust `BLESS=1 cargo test` writes that of the settings)";
/// More than all cores need to be free again.
const PATIENCE: Duration = Duration::from_secs(60);
