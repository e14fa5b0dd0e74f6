//! What the leader does next. One step is one write of the Secret; after each, all waits begin again.

use std::slice;

use super::{
    Moment, Published, Times,
    parts::{Authority, Root},
    stored::{Content, Current, Stored, add},
    view::View,
};
use crate::certs::CertsError;

/// One step.
pub(super) struct Step {
    /// What is to be written in place of what the process saw.
    pub(super) stored: Stored,
    pub(super) why: Why,
}

/// For the log.
pub(super) type Why = &'static str;

/// What a step is decided from, beside the view.
pub(super) struct Facts<'a> {
    /// Those of the server, at least one.
    pub(super) names: &'a [String],
    pub(super) times: &'a Times,
    pub(super) now: Moment,
    /// `None`: not known yet. Then nothing is safe.
    pub(super) published: Option<&'a Published>,
}

impl View {
    /// `None`: nothing, for now.
    ///
    /// # Errors
    /// A certificate could not be made: a name is none.
    pub(super) fn step(&self, facts: &Facts<'_>) -> Result<Option<Step>, CertsError> {
        let Some(published) = facts.published else { return Ok(None) };
        let ours = |stored: &Stored| self.memory(published).is_none_or(|it| stored.follows(&it.current));
        match &self.content {
            Content::Unknown => Ok(None),
            Content::Whole(stored) if ours(stored) => self.next(stored, facts, published),
            lost => {
                let stored = self.made_again(lost, facts, published)?;
                let why = if matches!(lost, Content::Missing) { "there were none" } else { "others could not be used" };
                Ok(Some(Step { stored, why }))
            }
        }
    }

    /// Instead of what is lost: what is presented stays, and a new CA follows it. Whatever CA somebody may still present stays published.
    fn made_again(&self, lost: &Content, facts: &Facts<'_>, published: &Published) -> Result<Stored, CertsError> {
        let memory = self.memory(published);
        let mut previous = memory.map(|it| it.others.clone()).unwrap_or_default();
        add(&mut previous, &published.roots);
        add(&mut previous, &lost.roots());
        let new = facts.authority()?;
        if let Some(memory) = memory {
            return Ok(Stored::new(Some(memory.current.clone()), Some(new), &previous));
        }
        if published.is_nothing() {
            // Nobody is asked, so it can be presented at once.
            return Ok(Stored::new(Some(facts.signed(new)?), None, &previous));
        }
        Ok(Stored::new(None, Some(new), &previous))
    }

    fn next(&self, stored: &Stored, facts: &Facts<'_>, published: &Published) -> Result<Option<Step>, CertsError> {
        let Facts { names, times, now, .. } = *facts;
        let Stored { current, next, previous } = stored;
        let with = |roots: &[Root]| {
            let mut all = roots.to_vec();
            add(&mut all, previous);
            all
        };
        let write = |stored, why| Ok(Some(Step { stored, why }));

        match current {
            // Restored from elsewhere: whoever begins now must not present it before it is published.
            Some(it) if !published.allows(&it.authority.root) => {
                let mut others = published.roots.clone();
                others.extend(next.iter().map(|it| it.root.clone()));
                let stored = Stored::new(None, Some(it.authority.clone()), &with(&others));
                return write(stored, "the CA is not in the caBundle that is published");
            }
            Some(_) => {}
            // Others may present what is published until there is something to present.
            None => {
                let stored = Stored::new(None, next.clone(), &with(&published.roots));
                if stored.previous != *previous {
                    return write(stored, "other CAs are published");
                }
            }
        }
        match next {
            Some(next) if next.is_due(now.clock, times) => {
                let stored = Stored::new(current.clone(), Some(facts.authority()?), &with(slice::from_ref(&next.root)));
                return write(stored, "the next CA was never used and ends soon");
            }
            Some(next) if self.is_known(&next.root, facts, published) => {
                let former: Vec<_> = current.iter().map(|it| it.authority.root.clone()).collect();
                let stored = Stored::new(Some(facts.signed(next.clone())?), None, &with(&former));
                return write(stored, "the next CA has been published for long enough");
            }
            Some(_) => {}
            None if current.as_ref().is_none_or(|it| it.authority.is_due(now.clock, times)) => {
                let stored = Stored::new(current.clone(), Some(facts.authority()?), previous);
                return write(stored, "the CA ends soon");
            }
            None => {}
        }
        let Some(Current { authority, leaf }) = current else { return Ok(None) };
        if leaf.is_due(names, authority, now.clock, times) {
            let stored = Stored::new(Some(facts.signed(authority.clone())?), next.clone(), previous);
            return write(stored, "the certificate ends soon, or is for other names");
        }
        let is_over = self.lasts(times.swap, now) && self.is_known(&authority.root, facts, published);
        if !previous.is_empty() && is_over {
            return write(Stored::new(current.clone(), next.clone(), &[]), "nobody presents the former CA any more");
        }
        Ok(None)
    }

    /// kube-apiserver trusts it, or will as soon as it asks anybody.
    fn is_known(&self, root: &Root, facts: &Facts<'_>, published: &Published) -> bool {
        let Facts { times, now, .. } = facts;
        if published.is_nothing() {
            // Somebody may be publishing an older caBundle just now.
            return self.lasts(times.publication, *now);
        }
        published.has(root) && now.since(published.since) >= times.publication
    }
}

impl Facts<'_> {
    fn authority(&self) -> Result<Authority, CertsError> {
        Authority::made(self.now.clock, self.times)
    }

    fn signed(&self, authority: Authority) -> Result<Current, CertsError> {
        let leaf = authority.sign(self.names, self.now.clock, self.times)?;
        Ok(Current { authority, leaf })
    }
}
