//! The programs that keep credentials for Docker (`credHelpers`, `credsStore`).

use std::{process::Stdio, time::Duration};

use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
    time::timeout,
};

use super::credentials::{Login, is_docker_hub};

/// As Docker does: `docker-credential-NAME get`, the host on standard input, JSON on standard output.
pub(super) async fn ask(program: &str, host: &str) -> Result<Option<Login>, String> {
    if program.is_empty() || !program.bytes().all(|it| it.is_ascii_alphanumeric() || b"._-".contains(&it)) {
        return Err("it names a credential helper that is no name of a program".to_owned());
    }
    said(&format!("docker-credential-{program}"), host).await
}

/// What the program of this name or path says of a host.
async fn said(program: &str, host: &str) -> Result<Option<Login>, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Said {
        username: String,
        secret: String,
    }
    let name = program.rsplit('/').next().unwrap_or_default();
    let failed = |what: &str| format!("{name} {what}");
    let exchange = async {
        let mut child = Command::new(program)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(&format!("does not start: {error}")))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        if let Some(mut stdin) = stdin {
            let server = if is_docker_hub(host) { "https://index.docker.io/v1/" } else { host };
            // One that does not read it may know the answer all the same.
            let _ = stdin.write_all(server.as_bytes()).await;
        }
        let mut said = Vec::new();
        if let Some(stdout) = stdout {
            let read = stdout.take(MAX_SAID).read_to_end(&mut said).await;
            read.map_err(|error| failed(&format!("cannot be read: {error}")))?;
        }
        let status = child.wait().await.map_err(|error| failed(&format!("does not end: {error}")))?;
        Ok::<_, String>((status, said))
    };
    let (status, said) = timeout(PATIENCE, exchange)
        .await
        .map_err(|_| failed(&format!("gives no answer in {} s", PATIENCE.as_secs())))??;
    if !status.success() {
        // Its words for that, in every language.
        let knows_none = String::from_utf8_lossy(&said).trim() == "credentials not found in native keychain";
        return if knows_none { Ok(None) } else { Err(failed(&format!("failed: {status}"))) };
    }
    let said: Said = serde_json::from_slice(&said).map_err(|_| failed("says nothing that can be read"))?;
    Ok(Some(match said.username.as_str() {
        "<token>" => Login::Identity(said.secret),
        _ => Login::Password { user: said.username, password: said.secret },
    }))
}

/// Bytes that a program says.
const MAX_SAID: u64 = 64 << 10;
/// For all of it.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[tokio::test]
    async fn programs_are_asked_as_docker_asks_them() {
        let folder = tempfile::tempdir().unwrap();
        let words = async |script: &str| {
            let program = folder.path().join("docker-credential-test");
            // A file of its own each time: one that is still written cannot be run.
            let program = program.with_extension(script.len().to_string());
            fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
            let found = loop {
                match said(program.to_str().unwrap(), "registry-1.docker.io").await {
                    // A test beside this one is just starting a process, which has the file open.
                    Err(busy) if busy.contains("Text file busy") => {}
                    other => break other,
                }
            };
            found.map(|it| match it {
                Some(Login::Password { user, password }) => format!("{user} {password}"),
                Some(Login::Identity(token)) => token,
                None => "none".to_owned(),
            })
        };
        let good = r#"read -r host; echo "{\"Username\": \"$1\", \"Secret\": \"$host\"}""#;
        assert_eq!(words(good).await, Ok("get https://index.docker.io/v1/".to_owned()));
        assert_eq!(words(r#"echo '{"Username": "<token>", "Secret": "it"}'"#).await, Ok("it".to_owned()));
        assert_eq!(words("echo credentials not found in native keychain; exit 1").await, Ok("none".to_owned()));
        let wrong = words("echo secret; exit 3").await.unwrap_err();
        assert!(wrong.ends_with(" failed: exit status: 3"), "{wrong}");
        let wrong = words("echo secret").await.unwrap_err();
        assert!(wrong.ends_with(" says nothing that can be read"), "{wrong}");
        let endless = words("exec yes secret").await.unwrap_err();
        assert!(!endless.contains("secret"), "{endless}");
    }
}
