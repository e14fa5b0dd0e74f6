//! Flags of `serve` for those who want to know of decisions.

use std::{
    collections::HashMap,
    env, fs,
    io::{self, Write as _},
    path::PathBuf,
    sync::Arc,
};

use super::Failed;
use crate::observe::{Choice, Collector, Decisions, Labels, Metrics, Rotating, Rules, Sink};

/// Who is told of decisions.
#[derive(clap::Args)]
pub(super) struct Seen {
    /// Where decisions are written, one line of JSON each: a file, which rotates, or - for standard output.
    #[arg(long, env = "VERDICT_DECISION_LOG", value_name = "FILE")]
    decision_log: Option<PathBuf>,
    /// MiB after which a new file is begun.
    #[arg(long, env = "VERDICT_DECISION_LOG_MAX_SIZE", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    decision_log_max_size: u64,
    /// How many old files are kept, as FILE.1, FILE.2 and so on.
    #[arg(long, env = "VERDICT_DECISION_LOG_KEEP", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=1000))]
    decision_log_keep: u32,
    /// Of the decisions in which nobody denied and nothing failed, the share that is written: 0 to 1. The others always are.
    #[arg(long, env = "VERDICT_DECISION_LOG_SAMPLE", default_value_t = 1.0, value_parser = share)]
    decision_log_sample: f64,
    /// Write the reviews as well, up to 1 MiB each, without tokens and what Secrets hold.
    #[arg(long, env = "VERDICT_DECISION_LOG_INPUT")]
    decision_log_input: bool,
    /// A key of users' extras whose values are not written. Repeatable.
    #[arg(long, env = "VERDICT_DECISION_LOG_REDACT_EXTRA", value_name = "KEY", value_delimiter = ',')]
    decision_log_redact_extra: Vec<String>,
    /// MiB of memory for the last decisions, which `verdict decisions` and /decisions show to those who may register policies. 0 keeps none.
    #[arg(long, env = "VERDICT_DECISIONS_MEMORY", default_value_t = 4)]
    decisions_memory: usize,
    /// Where traces go, over OTLP/HTTP: http://localhost:4318, for example, to which /v1/traces is added. Default: that of OTEL_EXPORTER_OTLP_ENDPOINT; without it there are none.
    #[arg(long, env = "VERDICT_OTLP_ENDPOINT", value_name = "URL")]
    otlp_endpoint: Option<String>,
    /// Of requests that come without a decision of their caller's, the share that is traced: 0 to 1.
    #[arg(long, env = "VERDICT_OTLP_SAMPLE", default_value_t = 0.01, value_parser = share)]
    otlp_sample: f64,
}

impl Seen {
    /// `shown`: whether somebody may look at the last decisions.
    pub(super) fn decisions(&self, shown: bool, metrics: &Arc<Metrics>) -> Result<Arc<Decisions>, Failed> {
        let mut decisions = Decisions::of(labels());
        if shown {
            decisions = decisions.with_memory(self.decisions_memory.saturating_mul(1 << 20));
        }
        if let Some(sink) = self.sink()? {
            let choice = Choice { sample: self.decision_log_sample, input: self.decision_log_input };
            decisions = decisions.with_log(sink, choice, Rules::new(&self.decision_log_redact_extra), metrics)?;
        }
        if let Some(collector) = self.collector()? {
            let made = decisions.with_traces(&collector, metrics);
            decisions = made.map_err(|error| Failed::configuration(format!("--otlp-endpoint: {error}")))?;
        }
        Ok(Arc::new(decisions))
    }

    fn sink(&self) -> Result<Option<Box<dyn Sink>>, Failed> {
        let Some(path) = &self.decision_log else { return Ok(None) };
        if path.as_os_str() == "-" {
            return Ok(Some(Box::new(Stdout)));
        }
        let opened = Rotating::open(path, self.decision_log_max_size.saturating_mul(1 << 20), self.decision_log_keep);
        match opened {
            Ok(file) => Ok(Some(Box::new(file))),
            Err(error) => Err(Failed::configuration(format!("--decision-log {}: {error}", path.display()))),
        }
    }

    fn collector(&self) -> Result<Option<Collector>, Failed> {
        let of = |name: &str| env::var(name).ok().filter(|it| !it.is_empty());
        let base = |url: String| format!("{}/v1/traces", url.trim_end_matches('/'));
        let endpoint = self.otlp_endpoint.clone().map(base);
        let endpoint = endpoint.or_else(|| of("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"));
        let Some(endpoint) = endpoint.or_else(|| of("OTEL_EXPORTER_OTLP_ENDPOINT").map(base)) else { return Ok(None) };
        let is_http = |url: &url::Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        if !url::Url::parse(&endpoint).is_ok_and(|url| is_http(&url)) {
            return Err(Failed::configuration(format!(
                "--otlp-endpoint {endpoint}: expected http://HOST or https://HOST"
            )));
        }
        let file = of("OTEL_EXPORTER_OTLP_CERTIFICATE");
        let authorities =
            file.map(|file| fs::read(&file).map_err(|error| Failed::configuration(format!("{file}: {error}"))));
        Ok(Some(Collector {
            endpoint,
            sample: self.otlp_sample,
            // The exporter itself reads OTEL_EXPORTER_OTLP_HEADERS.
            headers: HashMap::new(),
            authorities: authorities.transpose()?,
            service: of("OTEL_SERVICE_NAME").unwrap_or_else(|| "verdict".to_owned()),
        }))
    }
}

/// Who this is, of several replicas.
fn labels() -> Labels {
    let host = env::var("HOSTNAME").ok().or_else(|| fs::read_to_string("/proc/sys/kernel/hostname").ok());
    let mut labels = Labels::new();
    labels.insert("id".to_owned(), format!("{:032x}", rand::random::<u128>()));
    labels.insert("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    if let Some(host) = host {
        labels.insert("host".to_owned(), host.trim().to_owned());
    }
    labels
}

/// Decisions on standard output, which nothing else is written to.
struct Stdout;

impl Sink for Stdout {
    fn write(&mut self, line: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(line.as_bytes())?;
        out.flush()
    }
}

/// A number from 0 to 1.
fn share(text: &str) -> Result<f64, String> {
    let share: Option<f64> = text.parse().ok();
    share.filter(|it| (0.0..=1.0).contains(it)).ok_or_else(|| "expected a number from 0 to 1".to_owned())
}
