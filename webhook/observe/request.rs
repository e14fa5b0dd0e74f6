//! The requests of one route, counted without looking anything up.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use prometheus::{Histogram, IntCounter, IntGauge};

use super::Metrics;

/// What the requests of one route are counted in, so that counting one looks little up.
pub(super) struct Route {
    name: &'static str,
    in_flight: IntGauge,
    seconds: Histogram,
    /// Made when first counted, so that what never happens is not exported.
    ok: OnceLock<IntCounter>,
}

/// Counts a request until it is answered, or abandoned when this is dropped before.
pub struct RequestGuard {
    metrics: Arc<Metrics>,
    route: Arc<Route>,
    begun: Instant,
    answered: bool,
}

impl Route {
    pub(super) fn new(metrics: &Metrics, name: &'static str) -> Self {
        Self {
            name,
            in_flight: metrics.in_flight.with_label_values(&[name]),
            seconds: metrics.request_seconds.with_label_values(&[name]),
            ok: OnceLock::new(),
        }
    }
}

impl RequestGuard {
    pub(super) fn begin(metrics: Arc<Metrics>, route: Arc<Route>) -> Self {
        route.in_flight.inc();
        Self { metrics, route, begun: Instant::now(), answered: false }
    }

    /// The request is answered with this status code.
    pub fn answered(mut self, code: u16) -> Duration {
        self.answered = true;
        let took = self.begun.elapsed();
        let counter = |code: u16| {
            let mut digits = [0; 3];
            self.metrics.requests.with_label_values(&[self.route.name, digits_of(code, &mut digits)])
        };
        match code {
            200 => self.route.ok.get_or_init(|| counter(200)).inc(),
            code => counter(code).inc(),
        }
        self.route.seconds.observe(took.as_secs_f64());
        took
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.route.in_flight.dec();
        if !self.answered {
            let abandoned = self.metrics.abandoned.with_label_values(&[self.route.name]);
            abandoned.inc();
        }
    }
}

/// A status code as text, without an allocation per request.
fn digits_of(code: u16, digits: &mut [u8; 3]) -> &str {
    for (digit, unit) in digits.iter_mut().zip([100, 10, 1]) {
        *digit = b'0' + u8::try_from(code / unit % 10).unwrap_or_default();
    }
    std::str::from_utf8(digits).unwrap_or_default()
}
