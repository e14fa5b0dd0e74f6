//! Answers of kube-apiserver, cut off where they are nested too deep to be read. A list or a watch that cannot be read as a whole would keep all of
//! its objects from everybody, and it takes one object of one author to make it so.

use bytes::Bytes;

/// Goes along JSON as it comes in.
#[derive(Default)]
pub(super) struct Shallow {
    /// How many mappings and lists are open.
    depth: usize,
    in_text: bool,
    is_escaped: bool,
}

impl Shallow {
    /// The next bytes, with `null` for each mapping or list that is too deep. Each object is one that has been cut off, or as it was.
    pub(super) fn pass(&mut self, bytes: Bytes) -> Bytes {
        // Where nothing is too deep, nothing is copied.
        let mut kept: Option<Vec<u8>> = None;
        for (at, byte) in bytes.iter().enumerate() {
            let was_kept = self.depth <= DEEPEST;
            let begins = self.step(*byte);
            let is_kept = was_kept && self.depth <= DEEPEST;
            if begins && was_kept && !is_kept {
                kept.get_or_insert_with(|| bytes[..at].to_vec()).extend_from_slice(b"null");
            } else if let Some(kept) = kept.as_mut().filter(|_| is_kept) {
                kept.push(*byte);
            } else if !is_kept && kept.is_none() {
                // It began in what came before.
                kept = Some(bytes[..at].to_vec());
            }
        }
        kept.map_or(bytes, Bytes::from)
    }

    /// Whether something is opened.
    fn step(&mut self, byte: u8) -> bool {
        if self.in_text {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.in_text = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_text = true,
            b'{' | b'[' => {
                self.depth += 1;
                return true;
            }
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        false
    }
}

/// What a reader of JSON takes is 127.
const DEEPEST: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str, size: usize) -> String {
        let mut shallow = Shallow::default();
        let parts = text.as_bytes().chunks(size).map(|it| shallow.pass(Bytes::copy_from_slice(it)));
        String::from_utf8(parts.flatten().collect()).unwrap()
    }

    #[test]
    fn only_what_is_too_deep_is_cut_off_however_it_comes_in() {
        let nested = |depth: usize, inner: &str| format!("{}{inner}{}", "[".repeat(depth), "]".repeat(depth));
        let deep =
            |inner: &str| format!(r#"{{"a":{},"b":"]}}\"["}}"#, nested(DEEPEST - 1, inner)) + "\n{\"next\": [1]}\n";
        for (inner, expected) in
            [("1", "1"), (r#"{"x":"}]\\\"["}"#, "null"), (&nested(500, r#""[""#), "null"), ("[],{},2", "null,null,2")]
        {
            for size in [1, 2, 7, 10_000] {
                let cut = cut(&deep(inner), size);
                assert_eq!(cut, deep(expected));
                let lines = cut.lines().map(serde_json::from_str::<serde_json::Value>);
                assert!(lines.into_iter().all(|it| it.is_ok()), "{cut}");
            }
        }
    }
}
