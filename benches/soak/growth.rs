//! What a process holds while it lives: whether that grows.

use std::fs;

use super::support::replicas::Replicas;

/// Of both replicas, over all of their lives.
#[derive(Default)]
pub(crate) struct Growth {
    lives: [Option<Life>; 2],
    ended: Vec<Life>,
}

/// Of one process.
struct Life {
    process: u32,
    looks: Vec<Look>,
}

/// At a moment.
#[derive(Clone, Copy, Default)]
struct Look {
    /// Bytes.
    resident: u64,
    /// Bytes, at most so far.
    peak: u64,
    threads: u64,
    files: u64,
}

impl Growth {
    /// Looks at both.
    pub(crate) fn look(&mut self, replicas: &Replicas) {
        for (life, server) in self.lives.iter_mut().zip(&replicas.servers) {
            let process = server.process.id();
            let life = life.get_or_insert_with(|| Life { process, looks: Vec::new() });
            life.looks.extend(look(life.process));
        }
    }

    /// One of them is about to end.
    pub(crate) fn ends(&mut self, number: usize, replicas: &Replicas) {
        self.look(replicas);
        self.ended.extend(self.lives[number].take());
    }

    /// Bytes.
    pub(crate) fn peak(&self) -> u64 {
        self.ended.iter().flat_map(|it| &it.looks).map(|it| it.peak).max().unwrap_or_default()
    }

    /// A row for each of the longest lives, from a tenth of it on, when all is warm, to its end.
    pub(crate) fn table(&self) -> String {
        let mut lives: Vec<&Life> = self.ended.iter().filter(|it| it.looks.len() > 2).collect();
        lives.sort_by_key(|it| std::cmp::Reverse(it.looks.len()));
        let rows = lives.iter().take(MOST_ROWS).map(|life| {
            let (early, late) = (life.looks[life.looks.len() / 10 + 1], life.looks[life.looks.len() - 1]);
            format!(
                "| {} | {} | {} to {} MiB | {} to {} | {} to {} |",
                life.process,
                life.looks.len(),
                early.resident >> 20,
                late.resident >> 20,
                early.threads,
                late.threads,
                early.files,
                late.files
            )
        });
        let head = "\n| process | reloads | resident | threads | open files |\n|---|---|---|---|---|".to_owned();
        std::iter::once(head).chain(rows).collect::<Vec<_>>().join("\n")
    }
}

fn look(process: u32) -> Option<Look> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let field = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|it| it.strip_prefix(name))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    };
    let files = fs::read_dir(format!("/proc/{process}/fd")).ok()?.count() as u64;
    Some(Look { resident: field("VmRSS:")? << 10, peak: field("VmHWM:")? << 10, threads: field("Threads:")?, files })
}

const MOST_ROWS: usize = 10;
