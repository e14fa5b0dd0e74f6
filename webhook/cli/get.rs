//! `verdict get`: what a running server has, and how it fares.

use anyhow::Context as _;
use http::Method;
use serde_json::Value;

use super::{Ended, Failed, client::ServerArgs, runtime, terminal};
use crate::spec::Kind;

/// Without a name a line for each object that the server has; with one, that object as it was registered.
#[derive(clap::Args)]
pub(super) struct Args {
    /// A kind, such as validator.
    #[arg(value_parser = kind)]
    kind: Option<Kind>,
    /// The name of an object.
    #[arg(value_parser = name)]
    name: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &Args) -> Result<Ended, Failed> {
    let asker = args.server.asker()?;
    let one = args.kind.zip(args.name.as_deref());
    let path = one.map_or_else(|| "/policies".to_owned(), |(kind, name)| path(kind, name));
    let said = runtime()?.block_on(asker.ask(Method::GET, &path, None))?;
    let body = match said.good() {
        Ok(body) => body,
        Err(words) => {
            terminal::tell(&words);
            return Ok(Ended::No);
        }
    };
    if one.is_some() {
        terminal::print_bytes(&body);
        return Ok(Ended::Done);
    }
    let page: Value = serde_json::from_slice(&body).context("the answer is no list of policies")?;
    for row in page["policies"].as_array().into_iter().flatten() {
        let text = |field: &str| row[field].as_str().unwrap_or_default();
        if args.kind.is_some_and(|it| it.name() != text("kind")) {
            continue;
        }
        terminal::print(&format!("{} {} {} ({})", text("state"), text("kind"), text("name"), text("source")));
        if !text("reason").is_empty() {
            terminal::print(&format!("  {}", text("reason")));
        }
    }
    Ok(Ended::Done)
}

/// Where an object is.
pub(super) fn path(kind: Kind, name: &str) -> String {
    format!("/policies/{}/{name}", kind.singular())
}

/// As it is typed: in any case.
pub(super) fn kind(text: &str) -> Result<Kind, String> {
    let known = || Kind::ALL.map(Kind::singular).join(", ");
    Kind::ALL
        .into_iter()
        .find(|it| it.name().eq_ignore_ascii_case(text))
        .ok_or_else(|| format!("expected one of {}", known()))
}

/// What could be the name of an object.
pub(super) fn name(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.is_empty() || text.len() > 63 || !text.bytes().all(plain) {
        return Err("expected lower case letters, digits and -, 63 at most".to_owned());
    }
    Ok(text.to_owned())
}
