//! Who may ask what: the names in certificates and the tokens that callers must show, for each kind of question.

use http::{HeaderMap, StatusCode};
use rustls::pki_types::CertificateDer;

use super::{bearer::Tokens, names::ClientName};

/// What somebody may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// About objects.
    Admission,
    /// Who somebody is, and what they may do.
    Access,
    /// Whatever a provider answers.
    Events,
}

impl Purpose {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Admission, Self::Access, Self::Events];
}

/// What the name in a caller's certificate is good for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct GoodFor([bool; Purpose::ALL.len()]);

/// Whom one kind of question is answered to.
#[derive(Debug, Clone, Default)]
pub struct Rule {
    /// The names of which the caller's certificate must have one; none: every name will do.
    pub names: Vec<ClientName>,
    /// What the caller must show beside that; None: nothing.
    pub tokens: Option<Tokens>,
}

/// Who may ask what.
#[derive(Debug, Clone, Default)]
pub struct Callers {
    /// As in [`Purpose::ALL`].
    pub rules: [Rule; Purpose::ALL.len()],
    /// Whether callers are known without a token: each has shown a certificate, or is of this machine.
    pub known: bool,
}

/// Why a request is not answered: status and short words.
pub(super) type Refused = (StatusCode, &'static str);

impl Callers {
    /// Who comes in at all: whoever may ask anything. None: every name does.
    pub fn names(&self) -> Vec<ClientName> {
        if self.rules.iter().any(|it| it.names.is_empty()) {
            return Vec::new();
        }
        let mut names: Vec<ClientName> = Vec::new();
        for name in self.rules.iter().flat_map(|it| &it.names) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    /// Whether anybody who reaches the server gets an answer to one of the questions that kube-apiserver asks.
    pub fn anybody(&self) -> bool {
        let [admission, access, _] = &self.rules;
        !self.known && (admission.tokens.is_none() || access.tokens.is_none())
    }

    /// What this certificate is good for.
    pub(super) fn good_for(&self, certificate: Option<&CertificateDer<'_>>) -> GoodFor {
        let parsed = || x509_parser::parse_x509_certificate(certificate?).ok().map(|(_, it)| it);
        let parsed = if self.rules.iter().all(|it| it.names.is_empty()) { None } else { parsed() };
        let good = |rule: &Rule| {
            rule.names.is_empty() || parsed.as_ref().is_some_and(|it| rule.names.iter().any(|name| name.is_one_of(it)))
        };
        GoodFor(self.rules.each_ref().map(good))
    }

    /// Before anything else is done for a request.
    pub(super) fn check(&self, purpose: Purpose, good_for: GoodFor, headers: &HeaderMap) -> Result<(), Refused> {
        let position = purpose as usize;
        let tokens = self.rules[position].tokens.as_ref();
        if purpose == Purpose::Events && tokens.is_none() && !self.known {
            return Err((
                StatusCode::FORBIDDEN,
                "events are answered only to callers with a client certificate or a token",
            ));
        }
        if !good_for.0[position] {
            return Err((StatusCode::FORBIDDEN, "this is not answered to the name in the client certificate"));
        }
        match tokens {
            Some(tokens) if tokens.admit(headers) != Some(true) => {
                Err((StatusCode::UNAUTHORIZED, "a valid bearer token is missing"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(names: &[&str]) -> Rule {
        Rule { names: names.iter().map(|it| it.parse().unwrap()).collect(), tokens: None }
    }

    #[test]
    fn who_may_ask_anything_comes_in() {
        let names = |rules| Callers { rules, known: true }.names();
        let all = names([rule(&["a"]), rule(&["b", "a"]), rule(&["c"])]);
        assert_eq!(all, rule(&["a", "b", "c"]).names);
        // Where one question is answered to every name, nobody can be turned away before it is known what is asked.
        assert_eq!(names([rule(&["a"]), rule(&[]), rule(&["c"])]), []);
    }

    #[test]
    fn without_a_certificate_nobody_has_a_name() {
        let callers = Callers { rules: [rule(&["a"]), rule(&[]), rule(&["a"])], known: true };
        let good_for = callers.good_for(None);
        let status = |purpose| callers.check(purpose, good_for, &HeaderMap::new()).map_err(|it| it.0);
        assert_eq!(status(Purpose::Access), Ok(()));
        for purpose in [Purpose::Admission, Purpose::Events] {
            assert_eq!(status(purpose), Err(StatusCode::FORBIDDEN));
        }
    }
}
