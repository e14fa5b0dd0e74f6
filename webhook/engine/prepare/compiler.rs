//! Programs from their sources: out of the cache, or prepared in this process or in a child of it, and kept.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tokio::{
    sync::Semaphore,
    task::{spawn_blocking, yield_now},
};
use wasmtime::component::Component;

use super::{
    Cache, Source,
    child::{Child, Priority, Session},
    code as compiled,
    compile::{PrepareError, Prepared, Wanted, prepare},
};
use crate::{
    component::protocol::is_component,
    engine::run::{
        About, Engine, Program,
        program::{Code, ProgramError, SharedCode},
        runtime::Wasm,
    },
    spec::{Digest, Failure},
};

/// How programs are made, as many at once as there are cores, and where their code is kept.
pub struct Compiler {
    place: Place,
    at_once: Semaphore,
    cache: Option<Cache>,
    /// By [`Identity::shared`](super::Identity::shared), as [`Self::lines`].
    shared: Mutex<HashMap<Digest, Weak<Component>>>,
    lines: Mutex<HashMap<Digest, Weak<tokio::sync::Mutex<Option<Session>>>>>,
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

    /// `program` with `arguments`, and the limit of its memory behind them, for each component, and for settings that nobody waits for. It must call
    /// [`super::limit_memory`] and [`super::answer_parent`].
    pub fn child(program: PathBuf, arguments: Vec<String>, priority: Priority, cache: Option<Cache>) -> Self {
        Self::new(Place::Child(Child { program, arguments, priority }), cache)
    }

    fn new(place: Place, cache: Option<Cache>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { place, at_once: Semaphore::new(cores), cache, shared: Mutex::default(), lines: Mutex::default() }
    }

    /// The program of `source`: from the cache, or prepared now and kept. That takes from milliseconds to seconds.
    ///
    /// # Errors
    /// What is wrong with the component or its settings, for the operator.
    pub async fn load(&self, engine: &Engine, source: &Source) -> Result<Program, PrepareError> {
        let identity = &source.identity;
        let wasm = engine.wasm(identity.fuelled).map_err(|error| host(&error))?;
        let key = identity.digest().map_err(|error| host(&error))?;
        let shared = identity.shared().map_err(|error| host(&error))?;
        let linked = |code: &Code, about| {
            Ok(Program::new(
                wasm,
                code,
                about,
                identity.settings.as_deref().map(Into::into),
                identity.grants.clone().into(),
            )?)
        };
        if let Some((about, code)) = self.cache.as_ref().and_then(|cache| cache.find::<About>(&wasm.engine, &key)) {
            let whole =
                if about.split { self.shared(wasm, &shared).and_then(|it| joined(it, code)) } else { Some(code) };
            if let Some(code) = whole {
                return linked(&code, about);
            }
        }
        let line = is_component(&source.bytes).then(|| self.line(shared));
        let (prepared, code) = match &line {
            // Its settings one after the other: the first one compiles what the others share.
            Some(line) => {
                let mut session = line.lock().await;
                let there = self.shared(wasm, &shared);
                let draft = self.cache.as_ref().zip(identity.draft().ok()).map(|(cache, key)| (cache.path(&key), key));
                let wanted = Wanted { shared: there.is_none(), draft: draft.is_some() };
                let path = draft.as_ref().map(|(path, _)| &**path);
                let prepared = self.prepare(engine, source, (wanted, path), &mut session, Some(line)).await?;
                if let (Some(cache), Some((_, key)), Some(code)) = (&self.cache, &draft, &prepared.draft) {
                    cache.put(key, code);
                }
                let fresh = prepared.shared.as_ref().map(|it| self.keep_shared(wasm, shared, it)).transpose()?;
                (prepared, fresh.or(there))
            }
            None => (self.prepare(engine, source, Default::default(), &mut None, None).await?, None),
        };
        let Prepared { about, code: own, .. } = prepared;
        let kept = self.cache.as_ref().and_then(|cache| cache.keep(&wasm.engine, &key, &about, &own));
        let own = match kept {
            Some(own) => own,
            None => compiled::load(&wasm.engine, &own).map_err(|error| host(&error))?,
        };
        let code = if about.split { code.and_then(|it| joined(it, own)) } else { Some(own) };
        linked(&code.ok_or_else(|| crashed(&"the code that all settings share is missing"))?, about)
    }

    /// What all settings of a component share, if it was compiled before.
    fn shared(&self, wasm: &Wasm, key: &Digest) -> Option<SharedCode> {
        let held = locked(&self.shared).get(key).and_then(Weak::upgrade);
        // It may be held for another engine.
        if let Some(component) = held.filter(|it| wasmtime::Engine::same(it.engine(), &wasm.engine)) {
            return Some(component);
        }
        let ((), code) = self.cache.as_ref()?.find(&wasm.engine, key)?;
        let Code::Component(component) = code else { return None };
        Some(self.remember(*key, component))
    }

    fn keep_shared(&self, wasm: &Wasm, key: Digest, code: &[u8]) -> Result<SharedCode, PrepareError> {
        let kept = self.cache.as_ref().and_then(|cache| cache.keep(&wasm.engine, &key, &(), code));
        let code = match kept {
            Some(code) => code,
            None => compiled::load(&wasm.engine, code).map_err(|error| host(&error))?,
        };
        match code {
            Code::Component(component) => Ok(self.remember(key, component)),
            Code::Split(..) | Code::Module(_) => Err(crashed(&"it made a module of a component")),
        }
    }

    fn remember(&self, key: Digest, component: Component) -> SharedCode {
        let component = Arc::new(component);
        let mut shared = locked(&self.shared);
        shared.retain(|_, it| it.strong_count() > 0);
        shared.insert(key, Arc::downgrade(&component));
        component
    }

    /// Where the settings of a component wait for each other.
    fn line(&self, key: Digest) -> Line {
        let mut lines = locked(&self.lines);
        lines.retain(|_, it| it.strong_count() > 0);
        if let Some(line) = lines.get(&key).and_then(Weak::upgrade) {
            return line;
        }
        let line = Line::default();
        lines.insert(key, Arc::downgrade(&line));
        line
    }

    async fn prepare(
        &self,
        engine: &Engine,
        source: &Source,
        (wanted, draft): (Wanted, Option<&Path>),
        session: &mut Option<Session>,
        line: Option<&Line>,
    ) -> Result<Prepared, PrepareError> {
        let _permit = self.at_once.acquire().await.map_err(|error| crashed(&error))?;
        match &self.place {
            Place::InProcess => {
                let (engine, source) = (engine.clone(), source.clone());
                let handle = tokio::runtime::Handle::current();
                let draft = draft.map(Path::to_owned);
                let work = move || handle.block_on(prepare(&engine, &source, wanted, draft));
                spawn_blocking(work).await.unwrap_or_else(|_| Err(crashed(&"it panicked")))
            }
            Place::Child(child) => {
                // Whoever loads the same component at the same time gets into line first.
                yield_now().await;
                let more = line.is_some_and(|it| Arc::strong_count(it) > 1);
                child.prepare(session, source, (wanted, draft), more).await.unwrap_or_else(|error| Err(crashed(&error)))
            }
        }
    }
}

/// The child that the settings of a component have in turn, if there is one.
type Line = Arc<tokio::sync::Mutex<Option<Session>>>;

fn joined(component: SharedCode, state: Code) -> Option<Code> {
    match state {
        Code::Module(state) => Some(Code::Split(component, state)),
        Code::Component(_) | Code::Split(..) => None,
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn host(error: &dyn std::fmt::Display) -> PrepareError {
    PrepareError::Init(Failure::Host(error.to_string()))
}

pub(super) fn crashed(why: &dyn std::fmt::Display) -> PrepareError {
    PrepareError::Program(ProgramError::Compile(format!("the compiler failed: {why}")))
}
