//! A child that prepares one component: it gives way to reviews, and its memory back.

use std::{
    borrow::Cow,
    io::{self, Read, Write},
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child as Process, Command},
    sync::oneshot,
    time::{sleep, timeout},
};

use super::{
    Identity, Source,
    compile::{PrepareError, Prepared, prepare},
    compiler::crashed,
};
use crate::engine::run::{About, Capacity, Engine};

/// The program to start for each component, which answers on its standard output as [`answer_parent`] does. Its last
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

/// What the child is told, as a line of JSON before the component's bytes.
#[derive(Serialize, Deserialize)]
struct Question<'a> {
    identity: Cow<'a, Identity>,
    memory: usize,
}

impl Child {
    /// # Errors
    /// The child failed, whatever the component is like.
    pub(super) async fn prepare(&self, source: &Source) -> io::Result<Result<Prepared, PrepareError>> {
        let answer = async {
            match self.ask(source, self.priority).await? {
                Some(answer) => Ok(answer),
                None => self.ask(source, Priority::Normal).await?.ok_or_else(|| io::Error::other("it gave no answer")),
            }
        };
        timeout(MAX_TIME, answer)
            .await
            .unwrap_or_else(|_| Err(io::Error::other(format!("it took longer than {} s", MAX_TIME.as_secs()))))
    }

    /// None: the processor was always somebody else's.
    async fn ask(&self, source: &Source, priority: Priority) -> io::Result<Option<Result<Prepared, PrepareError>>> {
        let question = Question { identity: Cow::Borrowed(&source.identity), memory: source.memory };
        let most = max_memory(source);
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
        let mut child = match priority {
            Priority::Normal => command.spawn()?,
            Priority::Idle => spawn_behind(command).await?,
        };
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("its pipes are missing"));
        };
        let mut header = serde_json::to_vec(&question)?;
        header.push(b'\n');
        let write = async move {
            stdin.write_all(&header).await?;
            stdin.write_all(&source.bytes).await?;
            stdin.shutdown().await
        };
        let mut answer = Vec::new();
        let mut stdout = stdout.take(MAX_ANSWER);
        let exchange = async { tokio::join!(write, stdout.read_to_end(&mut answer)) };
        let (written, read) = tokio::select! {
            both = exchange => both,
            () = starved(child.id()), if priority == Priority::Idle => return Ok(None),
        };
        // Whoever has more to say than that would wait for ever to be heard.
        drop(stdout);
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
        read?;
        let end = answer.iter().position(|it| *it == b'\n').ok_or(io::ErrorKind::UnexpectedEof)?;
        let about: Result<About, PrepareError> = serde_json::from_slice(&answer[..end])?;
        Ok(Some(about.map(|about| Prepared { about, code: answer.split_off(end + 1) })))
    }
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

/// The child's side, first of all: limits the memory of this process for good, and its remains after a crash, which would
/// hold settings, to none.
///
/// # Errors
/// The system refuses.
pub fn limit_memory(bytes: u64) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let at_most = |bytes| Rlimit { current: Some(bytes), maximum: Some(bytes) };
    setrlimit(Resource::Core, at_most(0))?;
    Ok(setrlimit(Resource::Data, at_most(bytes))?)
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

/// The child's side: one component from `input`, its code to `output`.
///
/// # Errors
/// The pipes broke, or the engine cannot be set up.
pub async fn answer_parent(
    mut input: impl Read,
    mut output: impl Write,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut all = Vec::new();
    input.read_to_end(&mut all)?;
    let end = all.iter().position(|it| *it == b'\n').ok_or("the component is missing")?;
    let Question { identity, memory } = serde_json::from_slice(&all[..end])?;
    let source = Source { bytes: Bytes::from(all.split_off(end + 1)), identity: identity.into_owned(), memory };
    // Reviews are never run here, so the pool is as small as it can be.
    let engine = Engine::new(Capacity { instances: 1, memory: crate::spec::MAX_MEMORY })?;
    let is_own = source.identity.is_of(engine.wasm(source.identity.fuelled)?);
    let prepared = if is_own { prepare(&engine, &source).await } else { Err(crashed(&REPLACED)) };
    let (about, code) = match prepared {
        Ok(prepared) => (Ok(prepared.about), prepared.code),
        Err(error) => (Err(error), Vec::new()),
    };
    serde_json::to_writer(&mut output, &about)?;
    output.write_all(b"\n")?;
    output.write_all(&code)?;
    output.flush()?;
    Ok(())
}

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
const REPLACED: &str = "the program of this server was replaced by another version: restart the server";
/// A component of the largest size compiles in less on a slow machine.
const MAX_TIME: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        loader::Component,
        spec::{Digest, Grants, Limits},
    };

    /// Of 1 MiB, with 1 MiB of memory.
    fn source() -> Source {
        let engine = Engine::new(Capacity { instances: 1, memory: 64 << 20 }).unwrap();
        let component = Component { bytes: vec![0; 1 << 20].into(), digest: Digest([0; 32]), manifest: None };
        let limits = Limits { memory: 1 << 20, ..Limits::default() };
        Source::new(&engine, component, None, &Grants::default(), &limits).unwrap()
    }

    async fn prepare_by(script: &str) -> String {
        let arguments = vec!["-c".to_owned(), script.to_owned()];
        let child = Child { program: "/bin/sh".into(), arguments, priority: Priority::Idle };
        match child.prepare(&source()).await {
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

    async fn answer(identity: &Identity, component: &[u8]) -> String {
        let question = Question { identity: Cow::Borrowed(identity), memory: 1 << 20 };
        let input = [&*serde_json::to_vec(&question).unwrap(), b"\n", component].concat();
        let mut answer = Vec::new();
        answer_parent(&*input, &mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn the_other_side_answers_with_what_is_wrong() {
        let identity = source().identity;
        let answered = answer(&identity, b"\0asm\x01\0\0\0").await;
        assert!(answered.starts_with(r#"{"Err":{"Program":{"Protocol":{"Unknown":"nothing"}}}}"#), "{answered}");
        let other = serde_json::to_string(&identity).unwrap().replace("verdict:policy@", "verdict:policy@9.");
        let answered = answer(&serde_json::from_str(&other).unwrap(), b"\0asm\x01\0\0\0").await;
        assert!(answered.contains("was replaced by another version: restart the server"), "{answered}");
        assert!(answer_parent(&b"no line"[..], Vec::new()).await.is_err());
    }
}
