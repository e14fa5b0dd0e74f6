//! A child that prepares one component, for one settings or for many: it gives way to reviews, and its memory back.

use std::{
    borrow::Cow,
    io,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Take},
    process::{Child as Process, ChildStdin, ChildStdout, Command},
    sync::oneshot,
    time::{sleep, timeout},
};

use super::{
    Identity, Source,
    compile::{PrepareError, Prepared, Wanted},
};
use crate::engine::run::About;

mod answering;

pub use answering::{answer_parent, limit_memory};

/// The program to start for a component, which answers on its standard output as [`answer_parent`] does. Its last
/// arguments are `--max-memory` and the bytes that it gives to [`limit_memory`].
pub(super) struct Child {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) priority: Priority,
}

/// How much of the processor a child may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// As much as this process: somebody waits for what it makes, be it a person or a server that is not ready yet.
    Normal,
    /// What nobody else wants (SCHED_IDLE): beside a server that answers reviews. Where there is nothing left for long, as much as this process
    /// after all: else a machine that is always busy would never see another policy.
    Idle,
}

/// What the child is told, as a line of JSON. The component's bytes follow upon the first one.
#[derive(Serialize, Deserialize)]
struct Question<'a> {
    identity: Cow<'a, Identity>,
    memory: usize,
    wanted: Wanted,
    /// An entry of the cache with the code that `init` runs in. Only the first one counts.
    draft: Option<Cow<'a, Path>>,
    /// Bytes that follow.
    component: usize,
}

/// What the child says, as a line of JSON before the code.
#[derive(Serialize, Deserialize)]
struct Answer {
    about: About,
    /// Bytes of code that follow, of what all settings share, and of what `init` runs in.
    code: usize,
    shared: Option<usize>,
    draft: Option<usize>,
}

/// A child that waits for the next settings of its component.
pub(super) struct Session {
    process: Process,
    stdin: ChildStdin,
    stdout: BufReader<Take<ChildStdout>>,
    /// Bytes of memory that it may take.
    most: u64,
    priority: Priority,
}

impl Child {
    /// By the child of `session`, which must be of this component, or by a new one; it stays there if `more` will be asked.
    ///
    /// # Errors
    /// The child failed, whatever the component is like.
    pub(super) async fn prepare(
        &self,
        session: &mut Option<Session>,
        source: &Source,
        (wanted, draft): (Wanted, Option<&Path>),
        more: bool,
    ) -> io::Result<Result<Prepared, PrepareError>> {
        let answer = async {
            session.take_if(|it| it.most < max_memory(source));
            let was_kept = session.is_some();
            let mut answer = self.ask(session, source, (wanted, draft), more, self.priority).await;
            if was_kept && answer.is_err() {
                // Settings that came before may have taken what these lack.
                answer = self.ask(session, source, (wanted, draft), more, self.priority).await;
            }
            if let Some(answer) = answer? {
                return Ok(answer);
            }
            let answer = self.ask(session, source, (wanted, draft), more, Priority::Normal).await?;
            answer.ok_or_else(|| io::Error::other("it gave no answer"))
        };
        timeout(MAX_TIME, answer)
            .await
            .unwrap_or_else(|_| Err(io::Error::other(format!("it took longer than {} s", MAX_TIME.as_secs()))))
    }

    /// None: the processor was always somebody else's.
    async fn ask(
        &self,
        session: &mut Option<Session>,
        source: &Source,
        (wanted, draft): (Wanted, Option<&Path>),
        more: bool,
        priority: Priority,
    ) -> io::Result<Option<Result<Prepared, PrepareError>>> {
        let kept = session.take();
        let component: &[u8] = if kept.is_some() { &[] } else { &source.bytes };
        let Session { process: mut child, mut stdin, mut stdout, most, priority } = match kept {
            Some(kept) => kept,
            None => self.start(max_memory(source), priority).await?,
        };
        let question = Question {
            identity: Cow::Borrowed(&source.identity),
            memory: source.memory,
            wanted,
            draft: draft.map(Cow::Borrowed),
            component: component.len(),
        };
        let mut header = serde_json::to_vec(&question)?;
        header.push(b'\n');
        let write = async move {
            stdin.write_all(&header).await?;
            stdin.write_all(component).await?;
            stdin.flush().await?;
            // Whoever will hear no more ends.
            Ok(more.then_some(stdin))
        };
        stdout.get_mut().set_limit(MAX_ANSWER);
        let exchange = async { tokio::join!(write, read_answer(&mut stdout)) };
        let (written, read): (io::Result<_>, _) = tokio::select! {
            both = exchange => both,
            () = starved(child.id()), if priority == Priority::Idle => return Ok(None),
        };
        match (written, read) {
            (Ok(Some(stdin)), Ok(answer)) => {
                *session = Some(Session { process: child, stdin, stdout, most, priority });
                Ok(Some(answer))
            }
            (written, read) => {
                // Whoever has more to say than that would wait for ever to be heard.
                drop(stdout);
                let written = written.map(drop);
                let status = child.wait().await?;
                if status.signal().is_some_and(|it| !ASKED_TO_END.contains(&it)) {
                    return Err(io::Error::other(format!(
                        "its process ended with {status}: most likely the component takes more than the {} MiB of memory that \
                         compiling it may take; build a smaller one",
                        most >> 20
                    )));
                }
                if !status.success() {
                    return Err(io::Error::other(format!("its process ended with {status}")));
                }
                written?;
                read.map(Some)
            }
        }
    }

    async fn start(&self, most: u64, priority: Priority) -> io::Result<Session> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .args(["--max-memory", &most.to_string()])
            .env_clear()
            // Else the allocator asks for a gigabyte at once, all of which would count.
            .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut process = match priority {
            Priority::Normal => command.spawn()?,
            Priority::Idle => spawn_behind(command).await?,
        };
        let (Some(stdin), Some(stdout)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(io::Error::other("its pipes are missing"));
        };
        Ok(Session { process, stdin, stdout: BufReader::new(stdout.take(MAX_ANSWER)), most, priority })
    }
}

/// No more than what `stdout` is limited to.
async fn read_answer(stdout: &mut BufReader<Take<ChildStdout>>) -> io::Result<Result<Prepared, PrepareError>> {
    let mut line = Vec::new();
    stdout.read_until(b'\n', &mut line).await?;
    if line.last() != Some(&b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let answer: Result<Answer, PrepareError> = serde_json::from_slice(&line)?;
    let Answer { about, code, shared, draft } = match answer {
        Ok(answer) => answer,
        Err(error) => return Ok(Err(error)),
    };
    let code = read_exactly(stdout, code).await?;
    let mut parts = [None, None];
    for (size, part) in [shared, draft].into_iter().zip(&mut parts) {
        if let Some(size) = size {
            *part = Some(read_exactly(stdout, size).await?);
        }
    }
    let [shared, draft] = parts;
    Ok(Ok(Prepared { about, code, shared, draft }))
}

async fn read_exactly(from: &mut (impl AsyncRead + Unpin), size: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(size as u64).read_to_end(&mut bytes).await?;
    if bytes.len() == size { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Returns when a process got less than a quarter of a processor for so long.
async fn starved(process: Option<u32>) {
    let mut before = Duration::ZERO;
    loop {
        sleep(PATIENCE).await;
        match process.and_then(processor_time) {
            Some(now) if now.saturating_sub(before) < PATIENCE / 4 => return,
            Some(now) => before = now,
            // It has ended, or this system does not tell.
            None => std::future::pending().await,
        }
    }
}

/// What all of its threads used, to a hundredth of a second: proc_pid_stat(5), `utime` and `stime`.
fn processor_time(process: u32) -> Option<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in brackets, may hold anything.
    let (_, fields) = text.rsplit_once(") ")?;
    let ticks: Option<u64> = fields.split(' ').skip(11).take(2).map(|it| it.parse::<u64>().ok()).sum();
    Some(Duration::from_millis(ticks? * TICK))
}

/// Bytes that compiling this may take: what every component needs, what grows with its size, and what its memory takes while
/// `init` runs and is read out.
fn max_memory(source: &Source) -> u64 {
    let (size, memory) = (source.bytes.len() as u64, source.memory as u64);
    COMPILER_MEMORY + COMPILER_MEMORY_PER_BYTE * size + 4 * memory
}

/// Starts a process that runs only where nobody else wants the processor, and gives it up at once: what serves reviews
/// comes first. With a nice value alone it would finish its turn, which a review then waits for.
async fn spawn_behind(mut command: Command) -> io::Result<Process> {
    let runtime = tokio::runtime::Handle::current();
    let (spawned, answer) = oneshot::channel();
    // A thread of its own, since a process inherits from the thread that starts it, and there is no way back.
    std::thread::Builder::new().name("spawn".to_owned()).spawn(move || {
        let _runtime = runtime.enter();
        give_way();
        let _ = spawned.send(command.spawn());
    })?;
    answer.await.map_err(io::Error::other)?
}

/// Not being allowed to is no reason to stop.
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "no crate of the tree offers it")]
fn give_way() {
    // SAFETY: it is about the calling thread; the structure holds numbers only, and outlives the call.
    let _ = unsafe {
        let lowest: libc::sched_param = std::mem::zeroed();
        libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const lowest)
    };
}

#[cfg(not(target_os = "linux"))]
fn give_way() {}

/// A small component takes 150 MiB, most of it the threads' stacks. One in Python of 18 MB takes 40 bytes for each of its own.
const COMPILER_MEMORY: u64 = 512 << 20;
const COMPILER_MEMORY_PER_BYTE: u64 = 64;
/// Bytes of compiled code.
const MAX_ANSWER: u64 = 1 << 30;
/// SIGHUP, SIGINT, SIGTERM: somebody ends everything.
const ASKED_TO_END: [i32; 3] = [libc::SIGHUP, libc::SIGINT, libc::SIGTERM];
/// How long a child waits for a processor.
const PATIENCE: Duration = Duration::from_secs(1);
/// Milliseconds of a tick as Linux tells them to programs (USER_HZ).
const TICK: u64 = 10;
/// A component of the largest size compiles in less on a slow machine.
const MAX_TIME: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::run::{Capacity, Engine},
        loader::Component,
        spec::{Digest, Grants, Limits},
    };

    /// Of 1 MiB, with 1 MiB of memory.
    pub(super) fn source() -> Source {
        let engine = Engine::new(Capacity { instances: 1, memory: 64 << 20 }).unwrap();
        let component = Component { bytes: vec![0; 1 << 20].into(), digest: Digest([0; 32]), manifest: None };
        let limits = Limits { memory: 1 << 20, ..Limits::default() };
        Source::new(&engine, component, None, &Grants::default(), &limits).unwrap()
    }

    async fn prepare_by(script: &str) -> String {
        let arguments = vec!["-c".to_owned(), script.to_owned()];
        let child = Child { program: "/bin/sh".into(), arguments, priority: Priority::Idle };
        match child.prepare(&mut None, &source(), Default::default(), false).await {
            Err(error) => error.to_string(),
            Ok(Err(PrepareError::Program(error))) => error.to_string(),
            Ok(Err(error)) => panic!("{error:?}"),
            Ok(Ok(_)) => panic!("prepared by {script}"),
        }
    }

    #[tokio::test]
    async fn a_child_that_fails_is_told_apart_from_a_bad_component() {
        assert!(prepare_by("cat > /dev/null; exit 3").await.contains("its process ended with exit status: 3"));
        let killed = prepare_by("kill -9 $$").await;
        let told = prepare_by("kill -TERM $$").await;
        assert!(told.ends_with("its process ended with signal: 15 (SIGTERM)"), "{told}");
        // 512 MiB, 64 for the component and 4 for its memory.
        assert!(killed.contains("signal: 9") && killed.contains("more than the 580 MiB of memory"), "{killed}");
        assert!(prepare_by("cat > /dev/null; echo nonsense").await.contains("expected"));
        assert!(prepare_by("cat > /dev/null").await.contains("unexpected end of file"));
        let refused = r#"cat > /dev/null; echo '{"Err":{"Program":{"Export":"no such export"}}}'"#;
        assert_eq!(prepare_by(refused).await, "no such export");
    }

    #[tokio::test]
    async fn settings_are_not_blamed_for_what_came_before_them() {
        let refused = r#"{"Err":{"Program":{"Export":"no such export"}}}"#;
        // It answers once only.
        let script =
            format!("read -r line; head -c 1048576 > /dev/null; echo '{refused}'; read -r line && exit 3; exit 0");
        let arguments = vec!["-c".to_owned(), script];
        let child = Child { program: "/bin/sh".into(), arguments, priority: Priority::Normal };
        let mut session = None;
        for more in [true, true, false] {
            let answer = child.prepare(&mut session, &source(), Default::default(), more).await;
            assert!(matches!(answer, Ok(Err(PrepareError::Program(_)))), "{more}");
            assert_eq!(session.is_some(), more);
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_child_runs_where_nobody_else_wants_to() {
        // The 41st word of its status is its policy, SCHED_IDLE.
        let status = prepare_by("cat > /dev/null; exit $(cut -d ' ' -f 41 /proc/self/stat)").await;
        assert!(status.contains("exit status: 5"), "{status}");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_child_that_gets_no_processor_is_made_to_have_one() {
        // One that sleeps gets as little as one that nobody lets run.
        let script = "cat > /dev/null; [ $(cut -d ' ' -f 41 /proc/self/stat) = 5 ] && exec sleep 100; exit 7";
        assert!(prepare_by(script).await.contains("exit status: 7"));
    }
}
