//! What is only so in Python; what holds in every language is in `languages`.

use std::{fs, path::Path, process::Command};

use crate::{
    languages::{Guest, PYTHON},
    support::fixtures,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_imports_another_when_it_is_called_is_there() {
    let Some(component) = (PYTHON.component)() else { return };
    assert_eq!(Guest::of(&PYTHON, &component).await.message("p", "strptime").await, "2026-01-02T00:00:00");
}

#[test]
fn what_is_no_policy_is_told_with_its_place() {
    if fixtures::has_python().is_none() {
        return;
    }
    for (source, expected) in [
        ("def validate(request)\n    pass\n", "policy.py:1: SyntaxError: expected ':'\n    def validate(request)\n"),
        ("def init(settings):\n    pass\n", "at least one of def validate(request), def mutate(request)"),
        (
            "def handlechange(change):\n    pass\n",
            "policy.py:1: handlechange is called by nobody: is handle_change meant?",
        ),
        ("def Validate(request):\n    pass\n", "policy.py:1: Validate is called by nobody: is validate meant?"),
        ("\ndef validates(request):\n    pass\n", "policy.py:2: validates is called by nobody: is validate meant?"),
        ("def validate():\n    pass\n", "policy.py:1: validate has other arguments: expected def validate(request)"),
        ("async def mutate(request):\n    pass\n", "policy.py:1: mutate is async"),
        ("import nowhere\n\ndef validate(request):\n    pass\n", "policy.py\", line 1, in <module>\n"),
        ("def validate(request):\n    pass\n\nraise ValueError('at once')\n", "ValueError: at once"),
        (
            "words = open(__file__.replace('policy.py', 'words.txt'))\n\ndef validate(request):\n    pass\n",
            "words.txt is not in the component: put what is read into a package, a folder with an __init__.py",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("policy.py"), source).unwrap();
        let (succeeded, said) = build(folder.path(), &folder.path().join("out.wasm"));
        assert!(!succeeded && said.contains(expected), "{source}: {said}");
        assert!(!said.contains("verdict_guest") && !said.contains("panicked"), "{said}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "something was left behind");
    }
}

fn build(folder: &Path, out: &Path) -> (bool, String) {
    let mut build = Command::new(env!("CARGO_BIN_EXE_verdict"));
    let output = build.arg("build").arg(folder).arg("-o").arg(out).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}
