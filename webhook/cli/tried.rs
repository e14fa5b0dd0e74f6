//! The flags of commands that ask policies reviews, offline.

use std::path::PathBuf;

use super::{
    CacheArgs, Failed,
    documents::{Document, documents},
    json_argument,
    object::Asked,
    specs,
};
use crate::{author::build, config::manifest, policy::Set, spec::PolicySpec};

/// A policy and reviews.
#[derive(clap::Args)]
pub(super) struct Tried {
    /// A policy's YAML, a component's file (.wasm), builtin:NAME, or the folder of a policy that is built.
    policy: PathBuf,
    /// Files of reviews, objects, or events for a provider, YAML or JSON, each with one document or several; - is standard
    /// input.
    #[arg(required_unless_present = "files", value_name = "REVIEW")]
    texts: Vec<PathBuf>,
    /// The same as REVIEW. Repeatable.
    #[arg(short, long = "filename", value_name = "FILE")]
    files: Vec<PathBuf>,
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
                spec.settings = Some(json_argument(settings)?);
                spec.settings_lines.clear();
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

    /// What is written where reviews should be.
    pub(super) fn documents(&self) -> Result<Vec<Document>, Failed> {
        documents(&[self.texts.as_slice(), self.files.as_slice()].concat()).map_err(Failed::Usage)
    }

    /// The review that `json` stands for; words for whoever wrote it.
    pub(super) fn review(&self, set: &Set, json: &str) -> Result<String, String> {
        let of_object = if set.admits() { self.asked.review(json)? } else { None };
        let review = of_object.unwrap_or_else(|| json.to_owned());
        set.recognise(&review).map_err(|error| error.to_string())?;
        Ok(review)
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
