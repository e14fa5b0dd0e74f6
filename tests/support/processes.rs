//! Child processes that never outlive the test process, however it ends.
//!
//! Beside each child runs a guard: a shell that reads from a pipe which only this process holds. When the pipe closes, because the test
//! process ended, was killed, or kept the child in a `static` that nobody drops, the guard kills the child's process group.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use super::within;

/// How long a process has between TERM and KILL.
const GRACE: Duration = Duration::from_secs(20);

/// A child with its log, ended on drop.
pub struct Process {
    name: String,
    child: Child,
    guard: Child,
    log: PathBuf,
}

/// Ends the process group of `child` when this process ends, however it does: statics are never dropped.
pub fn guard(child: &Child) -> Child {
    Command::new("sh")
        .args(["-c", "read -r _ || kill -s KILL -- \"-$1\"", "guard"])
        .arg(child.id().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("a shell as guard")
}

impl Process {
    /// Starts `command` in a process group of its own; what it prints goes to the end of `log`.
    pub fn start(name: &str, command: Command, log: &Path) -> Self {
        Self::start_with(name, command, log, Stdio::null())
    }

    /// The same, with this as its standard input.
    pub fn start_with(name: &str, mut command: Command, log: &Path, stdin: Stdio) -> Self {
        let output = File::options()
            .create(true)
            .append(true)
            .open(log)
            .unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        let child = command
            .stdin(stdin)
            .stdout(output.try_clone().expect("a second handle of the log"))
            .stderr(output)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let guard = guard(&child);
        Self { name: name.to_owned(), child, guard, log: log.to_owned() }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its status, if it ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child of ours")
    }

    /// Sends SIGTERM.
    pub fn terminate(&mut self) {
        if self.ended().is_none() {
            self.signal("TERM");
        }
    }

    /// Sends SIGKILL, and waits until it has ended.
    pub fn kill(&mut self) {
        if self.ended().is_none() {
            self.signal("KILL");
            let _ = self.child.wait();
        }
    }

    /// It stands still: it holds what it has, and answers nobody.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// It goes on.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// Waits until it has ended; fails when `limit` is over.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        within(limit, || self.ended().ok_or(()))
            .unwrap_or_else(|()| panic!("{} did not end in {limit:?}\n{}", self.name, self.tail()))
    }

    /// All that it printed.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The last lines of its log, under a heading.
    pub fn tail(&self) -> String {
        tail(&self.log)
    }

    fn signal(&self, signal: &str) {
        // The shell's own `kill`: std can only send KILL, and only to the child itself. The child is not waited for yet, so its id is still its own.
        let _ = Command::new("sh")
            .args(["-c", "kill -s \"$1\" -- \"-$2\"", "signal", signal])
            .arg(self.child.id().to_string())
            .stderr(Stdio::null())
            .status();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.terminate();
        if within(GRACE, || self.ended().ok_or(())).is_err() {
            self.kill();
        }
        // A line tells the guard that there is nothing left to do.
        if let Some(mut pipe) = self.guard.stdin.take() {
            let _ = pipe.write_all(b"done\n");
        }
        let _ = self.guard.wait();
        if thread::panicking() {
            say(&self.tail());
        }
    }
}

/// A fresh folder for `name`, below a folder of this test process. Logs stay there until a later run clears them away.
pub fn folder(name: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = run().join(format!("{name}-{count}"));
    fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    folder
}

/// The last lines of a log, under a heading.
pub fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_else(|error| error.to_string());
    let lines: Vec<&str> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(12)..].join("\n");
    format!("--- the end of {}\n{last}\n---", log.display())
}

/// Writes past libtest's capture, for what a person must see even when all is well.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// The folder of this process. Folders of earlier ones are removed, if their processes are gone: each holds a lock as long as it lives.
fn run() -> &'static Path {
    static RUN: OnceLock<(PathBuf, File)> = OnceLock::new();
    let (folder, _lock) = RUN.get_or_init(|| {
        let parent = Path::new(env!("CARGO_TARGET_TMPDIR")).join("runs");
        fs::create_dir_all(&parent).expect("a folder below target/tmp");
        for old in fs::read_dir(&parent).expect("the runs").flatten() {
            let free = File::open(old.path().join("lock")).is_ok_and(|lock| lock.try_lock().is_ok());
            if free {
                let _ = fs::remove_dir_all(old.path());
            }
        }
        let folder = parent.join(std::process::id().to_string());
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder of our own");
        let lock = File::create(folder.join("lock")).expect("a lock file");
        lock.lock().expect("a lock nobody else holds");
        (folder, lock)
    });
    folder
}
