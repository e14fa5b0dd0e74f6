//! Where policies come from: files and folders of them, and the files of k8s-wasm.

use std::path::{Path, PathBuf};

use tracing::warn;

use super::Failed;
use crate::{
    config::{self, ConfigError, Found, k8s_wasm},
    spec::PolicySpec,
};

/// What is served, or registered.
#[derive(Clone, clap::Args)]
pub(super) struct Sources {
    /// A file or folder of policies. Repeatable.
    #[arg(long, env = "VERDICT_POLICIES", value_delimiter = ',')]
    policies: Vec<PathBuf>,
    #[command(flatten)]
    k8s_wasm: K8sWasm,
}

/// The files of k8s-wasm.
#[derive(Clone, clap::Args)]
pub(super) struct K8sWasm {
    /// k8s-wasm's file of modules for authentication, unchanged.
    #[arg(long, env = "VERDICT_K8S_WASM_AUTHENTICATION", value_name = "FILE")]
    k8s_wasm_authentication: Option<PathBuf>,
    /// k8s-wasm's file of modules for authorization, unchanged. An error of one of them is no opinion, as there.
    #[arg(long, env = "VERDICT_K8S_WASM_AUTHORIZATION", value_name = "FILE")]
    k8s_wasm_authorization: Option<PathBuf>,
    /// k8s-wasm's file of modules for admission, unchanged, or the AdmissionConfiguration with its plug-in WASM.
    #[arg(long, env = "VERDICT_K8S_WASM_ADMISSION", value_name = "FILE")]
    k8s_wasm_admission: Option<PathBuf>,
}

impl Sources {
    /// None at all was named.
    pub(super) fn is_empty(&self) -> bool {
        self.policies.is_empty() && self.k8s_wasm.is_empty()
    }

    /// The policies of all of them, or everything that is wrong with any.
    pub(super) fn read(&self) -> Result<Vec<PolicySpec>, Failed> {
        Ok(self.read_each(true)?.specs().cloned().collect())
    }

    /// The same, file by file. `alone`: there is no other source, so that there must be some.
    pub(super) fn read_each(&self, alone: bool) -> Result<Found, Failed> {
        let found = self.look();
        let mut wrong = found.wrong();
        if wrong.is_empty() && alone {
            wrong.extend(found.nothing(&self.policies));
        }
        if wrong.is_empty() { Ok(found) } else { Err(Failed::configurations(&wrong)) }
    }

    /// What is there now, good or not.
    pub(super) fn look(&self) -> Found {
        let mut found = config::read_each(&self.policies);
        if let Some(first) = self.k8s_wasm.paths().next() {
            let others: Vec<PolicySpec> =
                found.files.iter().filter_map(|(_, it)| it.as_ref().ok()).flatten().cloned().collect();
            // Their names are compared with each other's and with all others': they are read together, as if they were one file.
            let modules = self.k8s_wasm.beside(&others).map_err(|errors| (Vec::new(), errors));
            found.files.push((first.to_owned(), modules));
        }
        for (_, specs) in &mut found.files {
            let all = std::mem::replace(specs, Ok(Vec::new()));
            let (good, mut wrong) = all.map_or_else(|it| it, |it| (it, Vec::new()));
            wrong.extend(good.iter().filter_map(untold));
            let good = good.into_iter().filter(|it| it.events.is_empty()).collect();
            *specs = if wrong.is_empty() { Ok(good) } else { Err((good, wrong)) };
        }
        found
    }

    /// Every file that holds documents, as far as that can be seen.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let found = config::files(&self.policies).unwrap_or_default();
        found.into_iter().chain(self.k8s_wasm.paths().map(Path::to_owned)).collect()
    }
}

/// Nobody would tell a policy of a file of changes: why not.
fn untold(spec: &PolicySpec) -> Option<ConfigError> {
    let message =
        "a server tells only objects of a cluster of changes: serve with --cluster, and apply this object with kubectl";
    (!spec.events.is_empty()).then(|| ConfigError {
        source: spec.source.clone(),
        object: Some(spec.title()),
        field: Some(spec.field("spec.events")),
        message: message.to_owned(),
    })
}

impl K8sWasm {
    fn paths(&self) -> impl Iterator<Item = &Path> {
        let all = [&self.k8s_wasm_authentication, &self.k8s_wasm_authorization, &self.k8s_wasm_admission];
        all.into_iter().flatten().map(PathBuf::as_path)
    }

    fn is_empty(&self) -> bool {
        self.files() == k8s_wasm::Files::default()
    }

    /// The policies of its files, to be served beside `others`. What an operator should know of them goes to the log.
    pub(super) fn beside(&self, others: &[PolicySpec]) -> Result<Vec<PolicySpec>, Vec<ConfigError>> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        let k8s_wasm::Modules { policies, warnings } = k8s_wasm::read(&self.files(), others)?;
        for warning in warnings {
            warn!("{warning}");
        }
        Ok(policies)
    }

    fn files(&self) -> k8s_wasm::Files {
        k8s_wasm::Files {
            authentication: self.k8s_wasm_authentication.clone(),
            authorization: self.k8s_wasm_authorization.clone(),
            admission: self.k8s_wasm_admission.clone(),
        }
    }
}

/// What names at least one source, of `first` and the files of k8s-wasm.
pub(super) fn any(first: &'static str) -> clap::ArgGroup {
    let files = ["k8s_wasm_authentication", "k8s_wasm_authorization", "k8s_wasm_admission"];
    clap::ArgGroup::new("sources").arg(first).args(files).multiple(true).required(true)
}
