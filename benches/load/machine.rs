//! Where and how the numbers were taken.

use std::{fs, process::Command};

/// Names and values, in the order in which they are shown.
pub(crate) fn describe() -> Vec<(String, String)> {
    let cores = std::thread::available_parallelism().map_or_else(|_| "?".to_owned(), |it| it.to_string());
    let arguments: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    [
        ("processor", format!("{}, {cores} cores", field("/proc/cpuinfo", "model name"))),
        ("memory", field("/proc/meminfo", "MemTotal")),
        ("kernel", fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()),
        ("verdict", format!("{} {}", env!("CARGO_PKG_VERSION"), said(&["git", "describe", "--always", "--dirty"]))),
        ("compiler", said(&["rustc", "--version"])),
        ("command", format!("`cargo bench --bench load -- {}`", arguments.join(" "))),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

fn field(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(':'));
    line.map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
}

fn said(command: &[&str]) -> String {
    let output = Command::new(command[0]).args(&command[1..]).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    output.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned()).unwrap_or_default()
}
