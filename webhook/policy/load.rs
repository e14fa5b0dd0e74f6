//! From specs to a set: components read, compiled once per digest, and initialised; all that is wrong with any of them.

use std::{collections::HashMap, sync::Arc};

use super::{Policy, Set, matching::Match, metrics_of};
use crate::{
    config::schema::{ConfigError, PolicySpec},
    engine::{Engine, InitError, Interface, Program, Template},
    loader::{self, Component},
    metrics::Metrics,
};

impl Set {
    /// Loads every policy. Takes as long as compiling the components does.
    ///
    /// # Errors
    /// What is wrong with each policy that cannot be loaded; never empty.
    pub async fn load(engine: &Engine, metrics: &Metrics, specs: Vec<PolicySpec>) -> Result<Self, Vec<ConfigError>> {
        let mut programs = HashMap::new();
        let mut policies = Vec::new();
        let mut errors = Vec::new();
        for spec in specs {
            match load(engine, metrics, &mut programs, spec).await {
                Ok(policy) => policies.push(policy),
                Err(wrong) => errors.extend(wrong),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        policies.sort_by(|one, other| (one.spec.order, &one.spec.name).cmp(&(other.spec.order, &other.spec.name)));
        for interface in Interface::ALL {
            let count = policies.iter().filter(|it| it.interfaces().contains(&interface)).count();
            metrics.policies_loaded(interface, count);
        }
        Ok(Self { policies })
    }
}

async fn load(
    engine: &Engine,
    metrics: &Metrics,
    programs: &mut HashMap<[u8; 32], Arc<Program>>,
    spec: PolicySpec,
) -> Result<Policy, Vec<ConfigError>> {
    let error = |field: String, message: String| ConfigError {
        source: spec.source.clone(),
        policy: Some(spec.name.clone()),
        field: Some(field),
        message,
    };
    let of_component = |message: String| vec![error("spec.component".to_owned(), message)];

    let component = loader::load(&spec.component).map_err(|wrong| of_component(wrong.to_string()))?;
    let digest = component.digest;
    let program = match programs.get(&digest) {
        Some(program) => Arc::clone(program),
        None => {
            let program = compile(engine, component).await.map_err(of_component)?;
            programs.insert(digest, Arc::clone(&program));
            program
        }
    };
    let interfaces = program.description().interfaces.clone();
    let mut errors = spec.check_interfaces(&interfaces);
    let matching = match Match::compile(&spec.matching, &interfaces) {
        Ok(matching) if errors.is_empty() => matching,
        Ok(_) => return Err(errors),
        Err(wrong) => {
            errors.extend(wrong.into_iter().map(|(field, message)| error(field, message)));
            return Err(errors);
        }
    };
    let template = Template::new(engine, program, &spec.name, &spec.settings, spec.grants.clone(), spec.limits)
        .await
        .map_err(|wrong| match wrong {
        InitError::Settings(wrong) => {
            wrong.into_iter().map(|it| error(format!("spec.settings{}", dotted(&it.path)), it.message)).collect()
        }
        InitError::Failed(failure) => of_component(format!("init failed: {failure}")),
    })?;
    Ok(Policy { metrics: metrics_of(metrics, &spec.name, &interfaces), spec, digest, matching, template })
}

async fn compile(engine: &Engine, component: Component) -> Result<Arc<Program>, String> {
    let engine = engine.clone();
    let compiled = tokio::task::spawn_blocking(move || Program::compile(&engine, &component.bytes)).await;
    match compiled {
        Ok(Ok(program)) => Ok(Arc::new(program)),
        Ok(Err(wrong)) => Err(wrong.to_string()),
        Err(_) => Err("the compiler crashed".to_owned()),
    }
}

/// A JSON Pointer as the rest of a field's path: `/labels/0` is `.labels[0]`.
fn dotted(pointer: &str) -> String {
    pointer.split('/').skip(1).fold(String::new(), |path, segment| {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        if segment.bytes().all(|it| it.is_ascii_digit()) && !segment.is_empty() {
            format!("{path}[{segment}]")
        } else {
            format!("{path}.{segment}")
        }
    })
}
