//! `verdict unregister`: break-glass.

use super::{Ended, Failed, cluster, runtime, terminal};
use crate::controller::Unregister;

/// Break-glass: tell kube-apiserver to ask no admission policy any more, and keep the server from registering again. Authorization and authentication are not touched.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The namespace of the installation. Default: that of the kubeconfig's context.
    #[arg(long, env = "VERDICT_NAMESPACE")]
    namespace: Option<String>,
    /// The instance, where there are several installations in the cluster.
    #[arg(long, env = "VERDICT_INSTANCE", value_parser = cluster::label)]
    instance: Option<String>,
    /// Why: for whoever finds it so.
    #[arg(long, default_value = "verdict unregister")]
    reason: String,
}

pub(super) fn run(args: &Args) -> Result<Ended, Failed> {
    let installation = cluster::installation(args.instance.as_deref());
    let unregister = Unregister { installation, namespace: args.namespace.clone(), reason: args.reason.clone() };
    runtime()?.block_on(unregister.run()).map_err(|words| Failed::Error(anyhow::anyhow!(words)))?;
    let Unregister { installation, .. } = &unregister;
    terminal::print(&format!(
        "kube-apiserver asks no admission policy of {installation} any more. To register again: kubectl annotate lease {installation} verdict.dev/hold-"
    ));
    Ok(Ended::Done)
}
