//! Where the machine swaps: what a review leaves in memory that was written out meanwhile is never read by another one.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use serde_json::Value;

use crate::support::{
    fixtures,
    host::{config_map, misbehaving},
    http,
    pki::Pki,
    processes::say,
    verdict::Verdict,
};

/// Guests leave marks everywhere and sleep; meanwhile all memory of the server goes to a swap file, again and again.
#[test]
fn marks_that_were_swapped_out_are_never_found_by_another_review() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_swap) = Swap::on(&folder.path().join("swap")) else {
        say(
            "skipped: marks_that_were_swapped_out_are_never_found_by_another_review: needs Linux, root, and a disk for a swap file",
        );
        return;
    };
    let pki = Pki::new(folder.path());
    let yaml =
        misbehaving("p", "remember-slowly", "").replace("timeoutMilliseconds: 300", "timeoutMilliseconds: 20000");
    let yaml = yaml.replace("$FIXTURE", &fixtures::misbehaving("").display().to_string());
    let verdict = Verdict::serve(&pki, folder.path(), &yaml, &["--max-instances=16", "--max-wait=1m"]);
    let url = format!("https://{}/validate", verdict.https);
    let ask = |review: usize| {
        let (status, text) =
            http::post(&url, config_map(&format!("u{review}")).to_string(), &pki, Some(&verdict.client)).unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, &answer["response"]["status"]["message"]), (200, &Value::from("p: clean")), "{text}");
    };
    let mut most = 0;
    thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| scope.spawn(move || (0..REVIEWS).for_each(|it| ask(caller * REVIEWS + it))))
            .collect();
        while !callers.iter().all(thread::ScopedJoinHandle::is_finished) {
            page_out(verdict.process.id());
            most = most.max(swapped(verdict.process.id()));
        }
    });
    println!("at most in swap: {} KiB", most >> 10);
    assert!(most > 1 << 20, "nothing was swapped out: the test says nothing");
}

/// A swap file that is in use.
struct Swap(PathBuf);

impl Swap {
    fn on(path: &Path) -> Option<Self> {
        let done = |program: &str| {
            let mut command = Command::new(program);
            command.arg(path).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|it| it.success())
        };
        // Without holes, or the kernel refuses it.
        fs::write(path, vec![0; SWAP]).ok()?;
        (cfg!(target_os = "linux") && done("mkswap") && done("swapon")).then(|| Self(path.to_owned()))
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        // The file goes with its folder; a kernel that still uses it keeps it until then.
        let _ = Command::new("swapoff").arg(&self.0).status();
    }
}

/// Bytes of a process that are in swap.
fn swapped(process: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line =
        status.lines().find_map(|it| it.strip_prefix("VmSwap:")?.trim().strip_suffix(" kB")?.parse::<usize>().ok());
    line.unwrap_or_default() << 10
}

/// Asks the kernel to write out all that a process can write to.
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "no crate of the tree offers it")]
fn page_out(process: u32) {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap_or_default();
    let ranges: Vec<libc::iovec> = maps
        .lines()
        .filter(|line| line.split(' ').nth(1).is_some_and(|it| it.starts_with("rw")))
        .filter_map(|line| {
            let (begin, end) = line.split(' ').next()?.split_once('-')?;
            let number = |text| usize::from_str_radix(text, 16).ok();
            let (begin, end) = (number(begin)?, number(end)?);
            Some(libc::iovec { iov_base: begin as *mut libc::c_void, iov_len: end - begin })
        })
        .collect();
    // SAFETY: the numbers of the process and of its memory are only looked up by the kernel, which moves its pages and changes
    // none; the list outlives the calls.
    unsafe {
        let handle = libc::syscall(libc::SYS_pidfd_open, process, 0);
        for some in ranges.chunks(MOST_RANGES) {
            libc::syscall(libc::SYS_process_madvise, handle, some.as_ptr(), some.len(), libc::MADV_PAGEOUT, 0);
        }
        libc::close(handle as i32);
    }
}

#[cfg(not(target_os = "linux"))]
fn page_out(_process: u32) {}

const CALLERS: usize = 8;
const REVIEWS: usize = 25;
/// Bytes.
const SWAP: usize = 256 << 20;
/// What one call takes.
const MOST_RANGES: usize = 1024;
