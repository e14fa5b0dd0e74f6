//! What the server offers to a policy. Natively, in tests, it is kept for [`testing`](crate::testing) and goes to stderr.

/// One line in the server's log, under the policy's name. Capped per review; what an authenticator writes is
/// dropped unless the operator grants `log`, because it sees tokens.
pub mod log {
    /// How severe a line is.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Level {
        Trace,
        Debug,
        Info,
        Warn,
        Error,
    }

    pub fn trace(message: impl AsRef<str>) {
        write(Level::Trace, message.as_ref());
    }

    pub fn debug(message: impl AsRef<str>) {
        write(Level::Debug, message.as_ref());
    }

    pub fn info(message: impl AsRef<str>) {
        write(Level::Info, message.as_ref());
    }

    pub fn warn(message: impl AsRef<str>) {
        write(Level::Warn, message.as_ref());
    }

    pub fn error(message: impl AsRef<str>) {
        write(Level::Error, message.as_ref());
    }

    fn write(level: Level, message: &str) {
        super::imports::log(level, message);
    }
}

/// One fact about this review worth keeping: a structured line in the server's log. Capped per review. For the audit log of
/// the API server, annotate the answer.
pub fn audit(key: impl AsRef<str>, value: impl AsRef<str>) {
    imports::audit(key.as_ref(), value.as_ref());
}

/// The review as it came, for what the typed requests lack.
pub mod review {
    /// The whole review as JSON, in the version the caller sent; for a provider the event, for a controller the change. Empty while the policy
    /// is built and cleaned up. In a chain of mutators it is still the review as it came.
    pub fn raw() -> String {
        super::imports::raw()
    }
}

#[cfg(target_family = "wasm")]
mod imports {
    use super::log::Level;
    use crate::generated::base::verdict::host;

    pub(super) fn log(level: Level, message: &str) {
        let level = match level {
            Level::Trace => host::log::Level::Trace,
            Level::Debug => host::log::Level::Debug,
            Level::Info => host::log::Level::Info,
            Level::Warn => host::log::Level::Warn,
            Level::Error => host::log::Level::Error,
        };
        host::log::write(level, message);
    }

    pub(super) fn audit(key: &str, value: &str) {
        host::audit_log::write(key, value);
    }

    pub(super) fn raw() -> String {
        host::review::raw()
    }
}

#[cfg(not(target_family = "wasm"))]
pub(crate) mod imports {
    use std::cell::RefCell;

    use super::log::Level;

    thread_local! {
        pub(crate) static LOGGED: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
        pub(crate) static AUDITED: RefCell<Vec<(String, String)>> = const { RefCell::new(Vec::new()) };
        pub(crate) static RAW: RefCell<String> = const { RefCell::new(String::new()) };
    }

    pub(super) fn log(level: Level, message: &str) {
        eprintln!("{level:?}: {message}");
        LOGGED.with_borrow_mut(|it| it.push((level, message.to_owned())));
    }

    pub(super) fn audit(key: &str, value: &str) {
        eprintln!("audit: {key}={value}");
        AUDITED.with_borrow_mut(|it| it.push((key.to_owned(), value.to_owned())));
    }

    pub(super) fn raw() -> String {
        RAW.with_borrow(Clone::clone)
    }
}
