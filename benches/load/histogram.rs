//! How long requests took: counts in buckets whose width is below 1 % of their value, in bounded memory.

use std::time::Duration;

/// Log-linear: each power of two of nanoseconds is split into 128 buckets.
#[derive(Clone)]
pub(crate) struct Histogram {
    buckets: Vec<u32>,
    count: u64,
    max: u64,
    min: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; (OCTAVES + 1) * SPLIT], count: 0, max: 0, min: u64::MAX }
    }
}

impl Histogram {
    pub(crate) fn record(&mut self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let last = self.buckets.len() - 1;
        self.buckets[index(nanoseconds).min(last)] += 1;
        self.count += 1;
        self.max = self.max.max(nanoseconds);
        self.min = self.min.min(nanoseconds);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.max = self.max.max(other.max);
        self.min = self.min.min(other.min);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// In microseconds: at least this share of the requests, 0 to 1, took no longer.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let wanted = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted {
                return upper(index).min(self.max) as f64 / 1000.0;
            }
        }
        self.max as f64 / 1000.0
    }

    /// The longest, in microseconds.
    pub(crate) fn max(&self) -> f64 {
        self.max as f64 / 1000.0
    }

    /// The shortest, in microseconds.
    pub(crate) fn min(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.min as f64 / 1000.0 }
    }
}

fn index(value: u64) -> usize {
    let octave = (64 - value.leading_zeros()).saturating_sub(SPLIT_BITS + 1);
    let within = (value >> octave) as usize;
    octave as usize * SPLIT + within
}

/// The largest value that falls into the bucket.
fn upper(index: usize) -> u64 {
    if index < 2 * SPLIT {
        return index as u64;
    }
    let octave = index / SPLIT - 1;
    let within = (index - octave * SPLIT) as u64;
    ((within + 1) << octave) - 1
}

const SPLIT_BITS: u32 = 7;
const SPLIT: usize = 1 << SPLIT_BITS;
/// Up to about 70 seconds; what takes longer counts as that, and as its own maximum.
const OCTAVES: usize = 30;
