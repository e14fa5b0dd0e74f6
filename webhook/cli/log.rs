//! How log lines are written. Whatever a field holds, an event is one line, in which no value can pass for another field,
//! and no JSON key comes twice.

use std::{error::Error, fmt};

use serde_json::Value;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{
    Layer,
    filter::Targets,
    fmt::{
        self as tracing_fmt, FmtContext, FormatEvent, FormatFields, MakeWriter,
        format::Writer,
        time::{FormatTime as _, SystemTime},
        writer::MakeWriterExt as _,
    },
    layer::{Context, SubscriberExt as _},
    registry::LookupSpan,
};

use super::{LogFormat, terminal};
use crate::{author::TOLD, text};

/// Writes lines to `writer`, and what an author is told to the terminal.
///
/// One filter for all: with a filter for each layer, tracing-subscriber loses the event that comes after a question whether another one is
/// wanted (https://github.com/tokio-rs/tracing/issues/2519).
pub(super) fn subscriber<W>(
    format: LogFormat,
    level: LevelFilter,
    colours: bool,
    writer: W,
) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // Libraries speak up only when something is wrong, unless more is asked for: hyper alone would fill a debug log.
    let libraries = level.min(LevelFilter::WARN);
    let wanted = Targets::new()
        .with_default(if level == LevelFilter::TRACE { level } else { libraries })
        .with_targets([("verdict", level), ("guest", level), ("audit", level), (TOLD, LevelFilter::TRACE)])
        // It writes down answers that it cannot read, and those could be Secrets. What fails is told by whoever asked.
        .with_target("kube_client", LevelFilter::OFF);
    let lines = tracing_fmt::layer().with_writer(writer.with_filter(|it| it.target() != TOLD));
    let lines = match format {
        LogFormat::Text => lines.with_ansi(colours).event_format(TextLines).boxed(),
        LogFormat::Json => lines.event_format(JsonLines).boxed(),
    };
    tracing_subscriber::registry().with(wanted).with(lines).with(Told)
}

/// For people: time, level, target, message, then the fields as `name=value`.
pub(super) struct TextLines;

/// For programs: an object with `timestamp`, `level`, `message`, the fields and `target`.
pub(super) struct JsonLines;

impl<S, N> FormatEvent<S, N> for TextLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let colours = writer.has_ansi_escapes();
        let painted = |code: &str, text: &str| match colours {
            true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            false => text.to_owned(),
        };
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        let level = painted(colour(level), &format!("{:>5}", level.as_str()));
        write!(writer, "{} {level} {}", painted("2", &now()?), painted("2", &format!("{target}:")))?;
        for (name, value) in fields(event) {
            if name == MESSAGE {
                write!(writer, " {}", shown(&value, false))?;
            } else {
                write!(writer, " {}{}", painted("3", name), painted("2", "="))?;
                writer.write_str(&shown(&value, true))?;
            }
        }
        writeln!(writer)
    }
}

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        let fixed =
            [("timestamp", now()?), ("level", metadata.level().to_string()), ("target", metadata.target().to_owned())];
        let mut written: Vec<(String, Value)> =
            fixed.into_iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect();
        for (name, value) in fields(event) {
            let mut name = name.to_owned();
            // A reader would keep one of two, and which one is not known.
            while written.iter().any(|(taken, _)| *taken == name) {
                name.push('_');
            }
            written.push((name, value));
        }
        writer.write_char('{')?;
        for (at, (name, value)) in written.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(writer, "{comma}{}:{}", Value::from(name.as_str()), text::json(&value.to_string()))?;
        }
        writeln!(writer, "}}")
    }
}

/// Shows an author who waits what goes on, whatever the level of the log is.
pub(super) struct Told;

impl<S: Subscriber> Layer<S> for Told {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == TOLD {
            for (_, words) in fields(event) {
                terminal::tell(words.as_str().unwrap_or_default());
            }
        }
    }
}

/// In UTC, with microseconds.
fn now() -> Result<String, fmt::Error> {
    let mut now = String::new();
    SystemTime.format_time(&mut Writer::new(&mut now))?;
    Ok(now)
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "31",
        Level::WARN => "33",
        Level::INFO => "32",
        Level::DEBUG => "34",
        Level::TRACE => "35",
    }
}

/// On one line. In quotes where it would not be clear where it ends: every text in a field, and what reads like a field.
fn shown(value: &Value, is_field: bool) -> String {
    let Value::String(value) = value else { return value.to_string() };
    if !is_field && !value.contains(['"', '=']) {
        return text::line(value);
    }
    format!("\"{}\"", text::line(&value.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// The message first, then the fields in their order.
fn fields(event: &Event<'_>) -> Vec<(&'static str, Value)> {
    let mut fields = Fields(Vec::new());
    event.record(&mut fields);
    fields.0.sort_by_key(|(name, _)| *name != MESSAGE);
    fields.0
}

struct Fields(Vec<(&'static str, Value)>);

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.push((field.name(), value.into()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.push((field.name(), value.into()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.push((field.name(), value.into()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.push((field.name(), value.into()));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), value.into()));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.0.push((field.name(), value.to_string().into()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push((field.name(), format!("{value:?}").into()));
    }
}

/// The field of what an event says, as tracing names it.
const MESSAGE: &str = "message";

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        io,
        sync::{Arc, Mutex},
    };

    use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
    use tracing::{enabled, info};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written of events, in both formats.
    fn written(emit: impl Fn()) -> [String; 2] {
        let (text, json) = (Written::default(), Written::default());
        let (to_text, to_json) = (text.clone(), json.clone());
        let info = LevelFilter::INFO;
        tracing::subscriber::with_default(subscriber(LogFormat::Text, info, false, move || to_text.clone()), &emit);
        tracing::subscriber::with_default(subscriber(LogFormat::Json, info, false, move || to_json.clone()), &emit);
        [text, json].map(|it| String::from_utf8(it.0.lock().unwrap().clone()).unwrap())
    }

    /// The keys of an object as they are written; a map would keep one of two that are equal.
    fn keys(json: &str) -> Vec<String> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Vec<String>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<String>, A::Error> {
                let mut keys = Vec::new();
                while let Some((key, _)) = map.next_entry::<String, IgnoredAny>()? {
                    keys.push(key);
                }
                Ok(keys)
            }
        }
        serde_json::Deserializer::from_str(json).deserialize_map(Keys).unwrap()
    }

    const FORGED: &str =
        "a\n2026-01-01T00:00:00Z  INFO audit: \u{1b}[31m\u{85}\u{2028}\u{202e}\u{200b}policy=\"other\" \\";

    #[test]
    fn what_comes_after_a_question_about_another_event_is_written() {
        for lines in written(|| {
            assert!(!enabled!(target: "guest", Level::DEBUG));
            info!("first");
            info!(target: TOLD, "for the author alone");
            info!("second");
        }) {
            let says = |words| lines.contains(words);
            assert!(says("first") && says("second") && lines.lines().count() == 2, "{lines}");
        }
    }

    #[test]
    fn an_event_is_one_line_whatever_its_fields_hold() {
        let [text, json] = written(|| {
            info!(policy = "p", message = FORGED, "would be denied");
            info!(display = %FORGED, debug = ?FORGED, "{FORGED}");
            info!(target: "guest", level = FORGED, target = FORGED, timestamp = 1, message = 2, "said");
        });
        for whole in [&text, &json] {
            assert_eq!(whole.lines().count(), 3, "{whole}");
            assert!(!whole.contains(|it| it != '\n' && text::is_hostile(it)), "{whole:?}");
        }
        for line in json.lines() {
            let keys = keys(line);
            assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "{line}");
        }
        let first: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
        assert_eq!((&first["message"], &first["policy"]), (&"would be denied".into(), &"p".into()));
        // Nothing is lost: a reader of JSON gets the very text.
        assert_eq!(first["message_"], FORGED);
    }

    #[test]
    fn no_value_passes_for_another_field() {
        let [text, _] = written(|| {
            info!(target: "guest", policy = "p", "said policy=\"other\"");
            info!(target: "guest", error = %"x\" policy=\"other", count = 3, fits = true, "plain words: 1, 2");
        });
        let lines: Vec<&str> = text.lines().map(|it| it.split_once("INFO ").unwrap().1).collect();
        assert_eq!(
            lines,
            [
                r#"guest: "said policy=\"other\"" policy="p""#,
                r#"guest: plain words: 1, 2 error="x\" policy=\"other" count=3 fits=true"#
            ]
        );
    }
}
