//! What the process can take of memory at most, computed from its flags and from what it holds when it begins to serve; and whether the system
//! gives it so much.

use std::{fs, path::Path};

use tracing::warn;

use crate::{cel, engine::run::Capacity, observe::Metrics, policy, server, server::routes::Limits};

/// What the process can take, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ceiling {
    /// The memories of all instances: --guest-memory.
    guests: usize,
    /// The stacks and structures of all instances: --max-instances.
    instances: usize,
    /// Bodies and answers, and what an allocator keeps beside them: --max-bodies.
    bodies: usize,
    /// What match conditions and patches build of objects.
    objects: usize,
    /// What is on its way in connections: --max-connections.
    connections: usize,
    /// Decisions that are kept, or wait to be written or sent.
    decisions: usize,
    /// What requests may register.
    registered: usize,
    /// The program, its policies, and the next policies while they are loaded.
    program: usize,
}

impl Ceiling {
    /// `decisions`: bytes that decisions take; `registers`: whether requests may register policies.
    pub(super) fn of(
        capacity: Capacity,
        limits: &Limits,
        config: &server::Config,
        decisions: usize,
        registers: bool,
    ) -> Self {
        Self {
            guests: capacity.memory,
            instances: capacity.slots() as usize * INSTANCE,
            bodies: limits.bodies + limits.bodies / 4,
            objects: policy::MOST_OBJECTS + cel::MOST_BUILT,
            connections: config.max_connections * server::MOST_OF_CONNECTION
                + config.max_handshakes * server::MOST_OF_HANDSHAKE,
            decisions,
            registered: if registers { policy::MOST_REGISTERED } else { 0 },
            program: Program::now().most(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.parts().into_iter().fold(0, |all, (_, bytes)| all.saturating_add(bytes))
    }

    fn parts(&self) -> [(&'static str, usize); 8] {
        let Self { guests, instances, bodies, objects, connections, decisions, registered, program } = *self;
        [
            ("guests", guests),
            ("instances", instances),
            ("bodies", bodies),
            ("objects", objects),
            ("connections", connections),
            ("decisions", decisions),
            ("registered", registered),
            ("program", program),
        ]
    }

    /// Tells operators, and warns where the system gives less.
    pub(super) fn tell(&self, metrics: &Metrics) {
        metrics.memory_ceiling(self.bytes());
        let root = Path::new("/");
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        if let Some(limit) = limit(root, &own).filter(|it| *it < self.bytes()) {
            let parts = self.parts().map(|(name, bytes)| format!("{name} {}", bytes >> 20)).join(", ");
            warn!(
                limit_mib = limit >> 20,
                ceiling_mib = self.bytes() >> 20,
                parts_mib = parts,
                "the memory limit of the container is below what the server can take: under load it may be killed; raise it, or lower --guest-memory, --max-instances, --max-bodies or --max-connections"
            );
        }
    }
}

/// What the process holds when it begins to serve.
struct Program {
    /// Bytes of its own.
    own: usize,
    /// Of files that are mapped: the program, libraries, compiled policies.
    files: usize,
}

impl Program {
    fn now() -> Self {
        let read = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
        let status = read("status");
        let own = status.lines().find_map(|it| it.strip_prefix("RssAnon:")?.trim().strip_suffix(" kB")?.parse().ok());
        Self { own: own.unwrap_or(0_usize) << 10, files: read("maps").lines().filter_map(mapped).sum() }
    }

    /// While other policies are loaded there are both.
    fn most(&self) -> usize {
        2 * self.own + self.files + PROGRAM
    }
}

/// Bytes of a mapping of a file, from its line in /proc/self/maps. What guests begin with is a file in memory, and counts as theirs.
fn mapped(line: &str) -> Option<usize> {
    let mut parts = line.split_whitespace();
    let (from, to) = parts.next()?.split_once('-')?;
    let path = parts.nth(4)?;
    let number = |text| usize::from_str_radix(text, 16).ok();
    (path.starts_with('/') && !path.starts_with("/memfd:")).then(|| Some(number(to)?.saturating_sub(number(from)?)))?
}

/// The least limit of the control groups that the process is in, in bytes. `own`: its /proc/self/cgroup.
fn limit(root: &Path, own: &str) -> Option<usize> {
    let mut least: Option<usize> = None;
    for line in own.lines() {
        // Version 2: `0::/path`; version 1: `4:memory:/path`, with other controllers beside it perhaps.
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let (base, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            _ if controllers.split(',').any(|it| it == "memory") => ("sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => continue,
        };
        // In a container its own group is often mounted as the root, and the path is that of the host.
        let below = Path::new(path.trim_start_matches('/'));
        for group in below.ancestors() {
            let text = fs::read_to_string(root.join(base).join(group).join(file)).unwrap_or_default();
            // `max` is no limit; version 1 has a number instead that no machine has.
            let bytes = text.trim().parse::<usize>().ok().filter(|it| *it < 1 << 60);
            least = bytes.into_iter().chain(least).min();
        }
    }
    least
}

/// Bytes of one instance beside its memory: its stack, and what the host keeps for it.
const INSTANCE: usize = 1 << 20;
/// Threads, tasks, metrics, logs, and what an allocator keeps.
const PROGRAM: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_of_all_groups_counts() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join("sys/fs/cgroup").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        assert_eq!(limit(root.path(), "0::/pod/container\n"), None);
        write("memory.max", "max\n");
        write("pod/memory.max", "1073741824\n");
        write("pod/container/memory.max", "2147483648\n");
        assert_eq!(limit(root.path(), "0::/pod/container\n"), Some(1 << 30));
        assert_eq!(limit(root.path(), "0::/\n"), None);
        write("memory/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(limit(root.path(), "3:cpu,cpuacct:/\n5:memory:/host/path\n"), None);
        write("memory/memory.limit_in_bytes", "536870912\n");
        assert_eq!(limit(root.path(), "3:cpu,cpuacct:/\n5:memory,hugetlb:/host/path\n"), Some(512 << 20));
    }

    #[test]
    fn what_is_mapped_of_files_counts_once() {
        let line = |text| mapped(text);
        assert_eq!(line("7f0000000000-7f0000010000 r-xp 00000000 08:01 42      /usr/bin/verdict"), Some(1 << 16));
        assert_eq!(line("7f0000000000-7f0000010000 rw-p 00000000 00:00 0 "), None);
        assert_eq!(line("7f0000000000-7f0000010000 rw-p 00000000 00:01 9  /memfd:wasm (deleted)"), None);
        assert_eq!(line("7ffc0000-7ffd0000 rw-p 00000000 00:00 0 [stack]"), None);
        let now = Program::now();
        assert!(now.own > 0 && now.files > 1 << 20);
    }
}
