//! What holds of any input: of everything that the tests have, of what comes of it by small damage, and of what is made up. The same
//! functions run under a fuzzer (`tests/fuzz`).

#[path = "../fuzz/holds.rs"]
mod holds;
mod made_up;
mod oracle;
mod seeds;

use std::{fs, path::PathBuf};

use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use seeds::Target;

/// Seeds as they are, and damaged.
#[test]
fn what_the_tests_have_holds_however_damaged() {
    let rounds = more(1);
    for target in seeds::targets() {
        let Target { name, holds, seeds } = target;
        assert!(!seeds.is_empty(), "{name}");
        let mut runner = runner(name);
        for seed in &seeds {
            holds(seed);
            for damaged in seeds::damaged(seed, runner.rng(), DAMAGES * rounds) {
                holds(&damaged);
            }
        }
    }
}

/// For a fuzzer to begin with: `VERDICT_CORPUS=tests/fuzz/corpus`, a folder for each target.
#[test]
fn seeds_are_written_where_that_is_asked_for() {
    let Some(folder) = std::env::var_os("VERDICT_CORPUS").map(PathBuf::from) else { return };
    for Target { name, seeds, .. } in seeds::targets() {
        let folder = folder.join(name);
        fs::create_dir_all(&folder).unwrap();
        for (number, seed) in seeds.iter().enumerate() {
            fs::write(folder.join(format!("seed-{number}")), seed).unwrap();
        }
    }
}

/// Objects and changes of them, with numbers and keys as awkward as they come.
#[test]
fn a_patch_from_one_object_to_another_gives_the_other() {
    let mut runner = runner("patches");
    for (old, new) in made_up::many(&made_up::two_objects(), &mut runner, 2000 * more(1)) {
        holds::patches(format!("{old}\n{new}").as_bytes());
    }
}

/// What is sent is applied by kube-apiserver's library, and what guests send is applied here as it would be there.
#[test]
fn patches_are_applied_as_by_kube_apiserver() {
    oracle::patches(2000 * more(1));
}

/// Expressions that nobody wrote.
#[test]
fn made_up_expressions_give_what_kubernetes_gives() {
    crate::cel::made_up(&made_up::many(&made_up::expression(), &mut runner("cel"), 1500 * more(1)));
}

/// `VERDICT_PROPERTIES=100`: so many times as much.
fn more(one: usize) -> usize {
    one * std::env::var("VERDICT_PROPERTIES").map_or(1, |it| it.parse().expect("a number in VERDICT_PROPERTIES"))
}

/// The same for the same number of rounds: a test that fails fails again.
fn runner(of: &str) -> TestRunner {
    let mut seed = [0; 32];
    for (at, byte) in of.bytes().take(24).chain(more(1).to_le_bytes()).enumerate() {
        seed[at] = byte;
    }
    TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &seed))
}

/// Of each seed.
const DAMAGES: usize = 12;
