//! The flags of commands that ask policies one review, offline.

use std::path::PathBuf;

use super::{CacheArgs, Failed, json_argument, object::Asked, read, specs};
use crate::{
    build,
    config::{manifest, schema::PolicySpec},
    engine::Interface,
    policy::Set,
};

/// A policy and a review.
#[derive(clap::Args)]
pub(super) struct Tried {
    /// A policy's YAML, a component's file (.wasm), builtin:NAME, or the folder of a policy that is built.
    policy: PathBuf,
    /// The review, an object, or an event for a provider; - is standard input.
    #[arg(required_unless_present = "file")]
    review: Option<PathBuf>,
    /// The same as REVIEW.
    #[arg(short, long = "filename", value_name = "FILE", conflicts_with = "review")]
    file: Option<PathBuf>,
    /// Settings for a bare component: JSON, or @FILE.
    #[arg(long)]
    settings: Option<String>,
    /// An environment variable for a bare component, as NAME=VALUE. Repeatable.
    #[arg(long = "env", value_name = "NAME=VALUE")]
    env: Vec<String>,
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    pub(super) cache: CacheArgs,
}

impl Tried {
    /// The policies, with settings and grants.
    pub(super) fn specs(&self) -> Result<Vec<PolicySpec>, Failed> {
        let mut all = if self.policy.join(manifest::FILE).is_file() { self.built()? } else { specs(&self.policy)? };
        for spec in &mut all {
            if let Some(settings) = &self.settings {
                spec.settings = json_argument(settings)?;
            }
            for variable in &self.env {
                let (name, value) = variable
                    .split_once('=')
                    .ok_or_else(|| Failed::Usage(format!("--env: expected NAME=VALUE, got {variable}")))?;
                spec.grants.env.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(all)
    }

    /// What is written where the review should be.
    pub(super) fn read(&self) -> Result<String, Failed> {
        match self.review.as_ref().or(self.file.as_ref()) {
            Some(path) => read(path),
            None => Err(Failed::Usage("expected a REVIEW".to_owned())),
        }
    }

    /// The review that `text` stands for.
    pub(super) fn review(&self, set: &Set, text: String) -> Result<String, Failed> {
        let admits = set.exports(Interface::Mutating) || set.exports(Interface::Validating);
        Ok(if admits { self.asked.review(&text)?.unwrap_or(text) } else { text })
    }

    /// The component of an author's folder.
    fn built(&self) -> Result<Vec<PolicySpec>, Failed> {
        let folder = &self.policy;
        let path = build::output(folder).map_err(|error| Failed::configuration(error.to_string()))?;
        if !path.is_file() {
            let (path, folder) = (path.display(), folder.display());
            return Err(Failed::configuration(format!("{path}: it is not built yet: run `verdict build {folder}`")));
        }
        specs(&path)
    }
}
