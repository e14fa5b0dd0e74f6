//! What `tests/pods/cluster` makes: namespaces and control groups in which all of a cluster runs, and which take all of it along when they end.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::super::{
    processes::{Process, folder},
    within,
};

/// As long as their first process lives.
pub(super) struct Namespaces {
    /// Option, so that it can end before the rest is looked at.
    first: Option<Process>,
    pub(super) folder: PathBuf,
}

impl Namespaces {
    /// What is missing on this machine, in words.
    pub(super) fn missing(folder: &Path) -> Option<String> {
        let output = script(&["check"], folder).output().expect("bash");
        (!output.status.success()).then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// For so many nodes, with a folder of their own.
    pub(super) fn make(nodes: usize) -> Self {
        let folder = folder("pods");
        let mut command = script(&["hold"], &folder);
        command.arg(nodes.to_string());
        let mut first = Process::start("the namespaces", command, &folder.join("namespaces.log"));
        let ready = within(Duration::from_secs(60), || match (folder.join("ready").exists(), first.ended()) {
            (true, None) => Ok(true),
            (_, Some(_)) => Ok(false),
            (false, None) => Err(()),
        });
        assert_eq!(ready, Ok(true), "{}", first.tail());
        Self { first: Some(first), folder }
    }

    /// A command line in there.
    pub(super) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = script(&["enter"], &self.folder);
        command.arg(program.as_ref());
        command
    }

    /// What a command in there printed, or what it complained.
    pub(super) fn run(&self, line: &[&str]) -> Result<String, String> {
        let output = self.command(line[0]).args(&line[1..]).output().expect("bash");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }
}

impl Drop for Namespaces {
    /// Waits until nothing is left, which the script sees to whatever way this process ends.
    fn drop(&mut self) {
        drop(self.first.take());
        let groups = self.folder.join("cgroups");
        let swept = within(Duration::from_secs(60), || if groups.exists() { Err(()) } else { Ok(()) });
        assert!(swept.is_ok() || std::thread::panicking(), "left behind: {}", groups.display());
    }
}

fn script(command: &[&str], folder: &Path) -> Command {
    let mut line = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pods/cluster"));
    line.args(command).arg(folder);
    line
}
