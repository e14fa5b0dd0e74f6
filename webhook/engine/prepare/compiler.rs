//! Programs from their sources: out of the cache, or prepared in this process or in a child of it, and kept.

use std::path::PathBuf;

use tokio::{sync::Semaphore, task::spawn_blocking};

use super::{
    Cache, Source,
    child::{Child, Priority},
    code as compiled,
    compile::{PrepareError, Prepared, prepare},
};
use crate::{
    engine::run::{
        Engine, Program,
        program::{Code, ProgramError},
    },
    spec::Failure,
};

/// How programs are made, as many at once as there are cores, and where their code is kept.
pub struct Compiler {
    place: Place,
    at_once: Semaphore,
    cache: Option<Cache>,
}

enum Place {
    InProcess,
    Child(Child),
}

impl Compiler {
    /// On the blocking threads of this process.
    pub fn in_process(cache: Option<Cache>) -> Self {
        Self::new(Place::InProcess, cache)
    }

    /// `program` with `arguments`, and the limit of its memory behind them, once for each component. It must call
    /// [`super::limit_memory`] and [`super::answer_parent`].
    pub fn child(program: PathBuf, arguments: Vec<String>, priority: Priority, cache: Option<Cache>) -> Self {
        Self::new(Place::Child(Child { program, arguments, priority }), cache)
    }

    fn new(place: Place, cache: Option<Cache>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { place, at_once: Semaphore::new(cores), cache }
    }

    /// The program of `source`: from the cache, or prepared now and kept. That takes from milliseconds to seconds.
    ///
    /// # Errors
    /// What is wrong with the component or its settings, for the operator.
    pub async fn load(&self, engine: &Engine, source: &Source) -> Result<Program, PrepareError> {
        let identity = &source.identity;
        let wasm = engine.wasm(identity.fuelled).map_err(|error| host(&error))?;
        let linked = |code: &Code, about| {
            Ok(Program::new(
                wasm,
                code,
                about,
                identity.settings.as_deref().map(Into::into),
                identity.grants.clone().into(),
            )?)
        };
        if let Some((about, code)) = self.cache.as_ref().and_then(|cache| cache.find(&wasm.engine, identity)) {
            return linked(&code, about);
        }
        let prepared = self.prepare(engine, source).await?;
        let kept = self.cache.as_ref().and_then(|cache| cache.keep(&wasm.engine, identity, &prepared));
        let code = match kept {
            Some(code) => code,
            None => compiled::load(&wasm.engine, &prepared.code).map_err(|error| host(&error))?,
        };
        linked(&code, prepared.about)
    }

    async fn prepare(&self, engine: &Engine, source: &Source) -> Result<Prepared, PrepareError> {
        let _permit = self.at_once.acquire().await.map_err(|error| crashed(&error))?;
        match &self.place {
            Place::InProcess => {
                let (engine, source) = (engine.clone(), source.clone());
                let handle = tokio::runtime::Handle::current();
                let work = move || handle.block_on(prepare(&engine, &source));
                spawn_blocking(work).await.unwrap_or_else(|_| Err(crashed(&"it panicked")))
            }
            Place::Child(child) => child.prepare(source).await.unwrap_or_else(|error| Err(crashed(&error))),
        }
    }
}

fn host(error: &dyn std::fmt::Display) -> PrepareError {
    PrepareError::Init(Failure::Host(error.to_string()))
}

pub(super) fn crashed(why: &dyn std::fmt::Display) -> PrepareError {
    PrepareError::Program(ProgramError::Compile(format!("the compiler failed: {why}")))
}
