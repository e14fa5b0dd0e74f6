//! How far the changes of one watch are handled: from where it is to be watched again after a restart.

use std::collections::VecDeque;

/// What was read, in the order in which it came.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The number of the first of `open`.
    first: u64,
    /// Each with the version of its collection that follows when it, and all before it, are handled. None: none follows from it.
    open: VecDeque<(Option<String>, bool)>,
    /// Up to which everything is handled.
    version: Option<String>,
}

impl Progress {
    /// Of a watch that goes on from `version`.
    pub(super) fn from(version: Option<String>) -> Self {
        Self { version, ..Self::default() }
    }

    /// Something that is to be handled; gives its number.
    pub(super) fn begin(&mut self, version: Option<String>) -> u64 {
        self.open.push_back((version, false));
        self.first + self.open.len() as u64 - 1
    }

    /// Nothing more came up to here.
    pub(super) fn mark(&mut self, version: String) {
        let number = self.begin(Some(version));
        self.done(number);
    }

    /// What has this number is handled.
    pub(super) fn done(&mut self, number: u64) {
        let place = number.checked_sub(self.first).and_then(|it| usize::try_from(it).ok());
        if let Some((_, done)) = place.and_then(|it| self.open.get_mut(it)) {
            *done = true;
        }
        while self.open.front().is_some_and(|(_, done)| *done) {
            if let Some((Some(version), _)) = self.open.pop_front() {
                self.version = Some(version);
            }
            self.first += 1;
        }
    }

    /// Up to where everything is handled; None: not even what there was at the beginning.
    pub(super) fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handled_early_waits_for_what_came_before_it() {
        let mut progress = Progress::from(None);
        let (one, two) = (progress.begin(None), progress.begin(None));
        progress.mark("10".to_owned());
        let three = progress.begin(Some("11".to_owned()));
        progress.done(three);
        progress.done(two);
        assert_eq!(progress.version(), None);
        progress.done(one);
        assert_eq!(progress.version(), Some("11"));
        progress.done(one);
        let four = progress.begin(Some("12".to_owned()));
        progress.mark("13".to_owned());
        assert_eq!(progress.version(), Some("11"));
        progress.done(four);
        assert_eq!(progress.version(), Some("13"));
    }
}
