//! W3C trace context: where the span of a request belongs (https://www.w3.org/TR/trace-context/).

use http::HeaderMap;

/// Which trace a request is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// Never zero.
    pub trace: u128,
    /// The span of the caller, if it has one.
    pub parent: Option<u64>,
    /// Our own span.
    pub span: u64,
    /// Whether it is to be exported.
    pub sampled: bool,
}

impl TraceContext {
    /// As the caller says it in `traceparent`. None: it does not, or not rightly, and then it is as if it had not.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all("traceparent").iter();
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        let mut parts = value.to_str().ok()?.split('-');
        let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        // Later versions may have more parts, and none has the number ff.
        let rest = parts.next();
        if version == "ff" || hex(version, 2)? == 0 && rest.is_some() {
            return None;
        }
        let (trace, parent) = (hex(trace, 32)?, u64::try_from(hex(parent, 16)?).ok()?);
        let sampled = hex(flags, 2)? & 1 == 1;
        (trace != 0 && parent != 0).then(|| Self { trace, parent: Some(parent), span: own(), sampled })
    }

    /// The first of its trace.
    pub(super) fn root(sampled: bool) -> Self {
        Self { trace: rand::random::<u128>().max(1), parent: None, span: own(), sampled }
    }
}

/// The number of a span.
pub(super) fn own() -> u64 {
    rand::random::<u64>().max(1)
}

/// So many digits, in lower case.
fn hex(digits: &str, count: usize) -> Option<u128> {
    let fits = digits.len() == count && digits.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
    fits.then(|| u128::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &str) -> Option<TraceContext> {
        TraceContext::of(&HeaderMap::from_iter([(
            http::HeaderName::from_static("traceparent"),
            value.parse().unwrap(),
        )]))
    }

    #[test]
    fn a_caller_says_where_its_request_belongs() {
        let context = of("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap();
        assert_eq!((context.trace, context.sampled), (0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, true));
        assert_eq!(context.parent, Some(0xb7ad_6b71_6920_3331));
        assert!(!of("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00").unwrap().sampled);
        // A later version may say more.
        assert!(of("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03-more").unwrap().sampled);
    }

    #[test]
    fn what_is_not_right_counts_as_nothing() {
        for value in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
        ] {
            assert_eq!(of(value), None, "{value}");
        }
    }
}
