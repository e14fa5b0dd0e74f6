//! `verdict new`: the folder of a policy, to begin with.

use std::path::PathBuf;

use clap::{ValueEnum, builder::PossibleValue};

use super::{Ended, Failed, terminal};
use crate::{
    author::{build::Language, new},
    spec::Interface,
};

/// The folder builds and its tests pass as it is: one example of the kind, with settings and their schema, sample reviews,
/// cases for `verdict test`, unit tests, a manifest, and the SDK. It needs nothing but `verdict` and the language's tools.
#[derive(clap::Args)]
pub(super) struct Args {
    /// What the policy is called: lower-case letters, digits and '-', a letter first.
    name: String,
    /// What it is written in.
    #[arg(long)]
    lang: Language,
    /// What it answers.
    #[arg(long)]
    kind: Kind,
    /// The folder; it must be empty or not exist. Default: NAME in the current one.
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// An interface, by what policies that answer it are called.
#[derive(Clone, Copy)]
struct Kind(Interface);

impl ValueEnum for Kind {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: [Kind; 6] = {
            let [a, b, c, d, e, f] = Interface::ALL;
            [Kind(a), Kind(b), Kind(c), Kind(d), Kind(e), Kind(f)]
        };
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let reviews = match self.0 {
            Interface::Authentication => "TokenReview: who is this?",
            Interface::Authorization => "SubjectAccessReview: may they?",
            Interface::Validating => "AdmissionReview: may this object enter?",
            Interface::Mutating => "AdmissionReview: how must it be changed to enter?",
            Interface::Provider => "events over HTTP, any JSON",
            Interface::Changes => "changes of objects of a cluster: what is to be done about them?",
        };
        Some(PossibleValue::new(new::kind(self.0)).help(reviews))
    }
}

impl ValueEnum for Language {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}

pub(super) fn run(args: &Args) -> Result<Ended, Failed> {
    let name = &args.name;
    let letters = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-';
    let is_name = name.len() <= 63 && name.bytes().all(letters) && !name.ends_with('-');
    if !is_name || !name.starts_with(|it: char| it.is_ascii_lowercase()) {
        return Err(Failed::Usage(format!(
            "{name:?}: expected at most 63 lower-case letters, digits and '-', beginning with a letter and ending with no '-', as in no-root"
        )));
    }
    let folder = args.dir.clone().unwrap_or_else(|| PathBuf::from(name));
    new::write(&folder, name, args.lang, args.kind.0)?;
    terminal::print(&format!(
        "{}: {} in {}. Next:\n  cd {}\n  verdict build\n  verdict test\nThen its README.md.",
        name,
        new::kind(args.kind.0),
        args.lang.title(),
        folder.display()
    ));
    Ok(Ended::Done)
}
