//! `verdict certs`: development certificates in a folder.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::{Ended, Failed, terminal};
use crate::certs::{Bundle, CLIENT, VALID_DAYS};

/// Development certificates: not for production, where the cluster's own CA should sign.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The folder to write to; made if it is not there.
    dir: PathBuf,
    /// A DNS name or IP address under which the server is reached. Repeatable.
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
    /// A Service through which the server is reached, as NAMESPACE/NAME.
    #[arg(long)]
    service: Option<String>,
    /// Replace what is there.
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: &Args) -> Result<Ended, Failed> {
    let mut names: Vec<String> = LOOPBACK.iter().map(|it| (*it).to_owned()).collect();
    names.extend(args.names.iter().cloned());
    if let Some(service) = &args.service {
        let Some((namespace, name)) = service.split_once('/') else {
            return Err(Failed::Usage(format!("--service: expected NAMESPACE/NAME, got {service}")));
        };
        names.extend([format!("{name}.{namespace}.svc"), format!("{name}.{namespace}.svc.cluster.local")]);
    }
    let bundle = Bundle::generate(&names)?;
    write(&bundle, &args.dir, args.force)?;
    let dir = args.dir.display();
    terminal::print(&format!(
        "wrote to {dir}: ca.crt ca.key server.crt server.key client.crt client.key (good for {VALID_DAYS} days)"
    ));
    terminal::print(&format!("the server answers as {}", names.join(", ")));
    terminal::print(&format!(
        "next: verdict serve --tls-cert {dir}/server.crt --tls-key {dir}/server.key --client-ca {dir}/ca.crt --client-name {CLIENT} --policies PATH"
    ));
    Ok(Ended::Done)
}

/// Writes all six files, or none where one is there already.
pub(super) fn write(bundle: &Bundle, dir: &Path, force: bool) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let files = [
        ("ca.crt", &bundle.ca.certificate, 0o644),
        ("ca.key", &bundle.ca.key, 0o600),
        ("server.crt", &bundle.server.certificate, 0o644),
        ("server.key", &bundle.server.key, 0o600),
        ("client.crt", &bundle.client.certificate, 0o644),
        ("client.key", &bundle.client.key, 0o600),
    ];
    for (name, ..) in files {
        let path = dir.join(name);
        if path.exists() {
            anyhow::ensure!(force, "{} is there already: use --force to replace all six files", path.display());
            // A file keeps its permissions when it is rewritten, so it is made anew.
            fs::remove_file(&path).with_context(|| path.display().to_string())?;
        }
    }
    for (name, text, mode) in files {
        let path = dir.join(name);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&path)
            .with_context(|| path.display().to_string())?;
        file.write_all(text.as_bytes()).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// What every development certificate is for.
pub(super) const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
