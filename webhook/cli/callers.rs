//! Who may ask what, as the flags say it; and the files of tokens, which are read again when they change.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tracing::{error, info};

use super::{Failed, reload::Watched};
use crate::server::{
    ClientName, Listed, Tokens,
    callers::{Callers, Rule},
};

/// Flags: one for all that is asked, and one for each kind, which then counts in its place.
#[derive(clap::Args)]
pub(super) struct CallerArgs {
    /// With --client-ca: a name that the caller's certificate must have, as common name or alternative name: exact, or *.SUFFIX with * for one label. Repeatable; one of them is enough.
    #[arg(long, env = "VERDICT_CLIENT_NAME", value_name = "NAME", value_delimiter = ',', requires = "client_ca")]
    client_name: Vec<ClientName>,
    /// In place of --client-name for admission: who may ask about objects.
    #[arg(
        long,
        env = "VERDICT_CLIENT_NAME_ADMISSION",
        value_name = "NAME",
        value_delimiter = ',',
        requires = "client_ca"
    )]
    client_name_admission: Vec<ClientName>,
    /// In place of --client-name for authentication and authorization: who may ask who somebody is, and what they may do.
    #[arg(
        long,
        env = "VERDICT_CLIENT_NAME_ACCESS",
        value_name = "NAME",
        value_delimiter = ',',
        requires = "client_ca"
    )]
    client_name_access: Vec<ClientName>,
    /// In place of --client-name for events.
    #[arg(
        long,
        env = "VERDICT_CLIENT_NAME_EVENTS",
        value_name = "NAME",
        value_delimiter = ',',
        requires = "client_ca"
    )]
    client_name_events: Vec<ClientName>,
    /// A file of bearer tokens, one on each line, of which every caller must show one. Read again when it changes.
    #[arg(long, env = "VERDICT_CLIENT_TOKEN_FILE", value_name = "FILE")]
    client_token_file: Option<PathBuf>,
    /// In place of --client-token-file for admission.
    #[arg(long, env = "VERDICT_CLIENT_TOKEN_FILE_ADMISSION", value_name = "FILE")]
    client_token_file_admission: Option<PathBuf>,
    /// In place of --client-token-file for authentication and authorization.
    #[arg(long, env = "VERDICT_CLIENT_TOKEN_FILE_ACCESS", value_name = "FILE")]
    client_token_file_access: Option<PathBuf>,
    /// In place of --client-token-file for events.
    #[arg(long, env = "VERDICT_CLIENT_TOKEN_FILE_EVENTS", value_name = "FILE")]
    client_token_file_events: Option<PathBuf>,
}

impl CallerArgs {
    /// `known`: see [`Callers`]. With the files of tokens, to be read again when they change.
    ///
    /// # Errors
    /// A file of tokens cannot be read, or holds none.
    pub(super) fn read(&self, known: bool) -> Result<(Callers, Vec<Watched>), Failed> {
        let mut files: Vec<(&Path, Tokens)> = Vec::new();
        let names = [&self.client_name_admission, &self.client_name_access, &self.client_name_events];
        let tokens =
            [&self.client_token_file_admission, &self.client_token_file_access, &self.client_token_file_events];
        let mut rules: [Rule; 3] = Default::default();
        for ((rule, own_names), own_file) in rules.iter_mut().zip(names).zip(tokens) {
            rule.names = if own_names.is_empty() { &self.client_name } else { own_names }.clone();
            let Some(file) = own_file.as_deref().or(self.client_token_file.as_deref()) else { continue };
            // One file that is named twice is one.
            let known = files.iter().find(|(it, _)| *it == file).map(|(_, tokens)| tokens.clone());
            let tokens = match known {
                Some(tokens) => tokens,
                None => {
                    let tokens = Tokens::new(listed(file).map_err(Failed::configuration)?);
                    files.push((file, tokens.clone()));
                    tokens
                }
            };
            rule.tokens = Some(tokens);
        }
        let watched = files.into_iter().map(|(file, tokens)| again(file.to_owned(), tokens)).collect();
        Ok((Callers { rules, known }, watched))
    }
}

/// Takes what the file holds now; if it cannot be used, what it held before stays.
fn again(file: PathBuf, tokens: Tokens) -> Watched {
    let files = vec![file.clone()];
    let read = move || match listed(&file) {
        Ok(listed) => {
            tokens.replace(listed);
            info!(file = %file.display(), "the tokens of callers were read again");
        }
        Err(why) => error!("the tokens of callers stay as they were: {why}"),
    };
    Watched { files, made: None, read: Box::new(read) }
}

fn listed(file: &Path) -> Result<Listed, String> {
    let named = |why: String| format!("--client-token-file {}: {why}", file.display());
    let text = fs::read(file).map_err(|error| named(error.to_string()))?;
    Listed::parse(&text).map_err(|error| named(error.to_string()))
}
