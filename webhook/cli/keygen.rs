//! `verdict keygen`: a key to sign components with, and the one that others verify them with.

use std::{
    fs::OpenOptions,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::{Ended, Failed, terminal};
use crate::signature::private::KeyPair;

/// Two files: NAME.key signs, and only you can read it; NAME.pub is for everybody. ECDSA P-256, as PEM. Nothing is overwritten.
#[derive(clap::Args)]
pub(super) struct Args {
    /// What the files are called, without .key and .pub; a path if they should lie elsewhere.
    #[arg(default_value = "verdict")]
    name: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<Ended, Failed> {
    let pair = KeyPair::generate()?;
    let named = |ending: &str| {
        let mut path = args.name.clone().into_os_string();
        path.push(ending);
        PathBuf::from(path)
    };
    let (private, public) = (named(".key"), named(".pub"));
    write(&[(&private, &pair.private, 0o600), (&public, &pair.public.pem(), 0o644)])?;
    terminal::print(&format!("{}: signs; keep it to yourself, and a copy of it in a safe place", private.display()));
    terminal::print(&format!("{}: verifies; for everybody (sha256:{})", public.display(), pair.public.id()));
    Ok(Ended::Done)
}

/// All files, or none where one is there already.
fn write(files: &[(&Path, &str, u32)]) -> anyhow::Result<()> {
    for (path, ..) in files {
        // A link that leads nowhere is there too.
        let is_there = path.symlink_metadata().is_ok();
        anyhow::ensure!(
            !is_there,
            "{} is there already, and nothing is overwritten: give another NAME",
            path.display()
        );
    }
    for (path, text, mode) in files {
        let file = OpenOptions::new().write(true).create_new(true).mode(*mode).open(path);
        let written = file.and_then(|mut it| it.write_all(text.as_bytes()).and_then(|()| it.sync_all()));
        written.with_context(|| path.display().to_string())?;
    }
    Ok(())
}
