//! Fewer data segments. Go's linker begins a new one after a few zeros, up to the 100,000 that Wasm allows; the snapshot
//! tool keeps an empty one for each and adds its own, which is then too many.

use wasm_encoder::{ConstExpr, DataSection, Module, RawSection};
use wasmparser::{DataKind, DataSectionReader, Operator, Parser, Payload};

/// The module with neighbouring data segments made one, zeros between them. Unchanged where that could mean another thing.
pub(super) fn merge(module: &[u8]) -> wasmparser::Result<Vec<u8>> {
    let mut merged = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        match &payload {
            // Instructions name segments by their numbers.
            Payload::DataCountSection { .. } => return Ok(module.to_vec()),
            Payload::DataSection(section) => match active(section.clone())? {
                Some(segments) => {
                    merged.section(&self::section(&segments));
                }
                None => return Ok(module.to_vec()),
            },
            _ => {
                if let Some((id, range)) = payload.as_section() {
                    merged.section(&RawSection { id, data: module.get(range).unwrap_or_default() });
                }
            }
        }
    }
    Ok(merged.finish())
}

/// Where it begins, and what is there.
pub(super) type Segment<T> = (u32, T);

/// Their section, with few enough of them.
pub(super) fn section(segments: &[Segment<&[u8]>]) -> DataSection {
    section_of(&fewer(segments))
}

/// All of them in the order of memory, if they all lie at fixed places of the only memory, and none over another.
pub(super) fn active(section: DataSectionReader<'_>) -> wasmparser::Result<Option<Vec<Segment<&[u8]>>>> {
    let mut segments = Vec::new();
    for data in section {
        let data = data?;
        let DataKind::Active { memory_index: 0, offset_expr } = data.kind else { return Ok(None) };
        let mut expression = offset_expr.get_operators_reader();
        let Operator::I32Const { value } = expression.read()? else { return Ok(None) };
        if !matches!(expression.read()?, Operator::End) {
            return Ok(None);
        }
        segments.push((value.cast_unsigned(), data.data));
    }
    segments.sort_by_key(|(begin, _)| *begin);
    let apart = segments
        .array_windows()
        .all(|[(begin, bytes), (next, _)]| u64::from(*begin) + bytes.len() as u64 <= u64::from(*next));
    Ok(apart.then_some(segments))
}

fn fewer(segments: &[Segment<&[u8]>]) -> Vec<Segment<Vec<u8>>> {
    let mut gap = SMALLEST_GAP;
    loop {
        let joined = join(segments, gap);
        if joined.len() <= MAX_SEGMENTS || gap >= LARGEST_GAP {
            return joined;
        }
        gap *= 2;
    }
}

/// Those that are at most `gap` bytes apart become one.
fn join(segments: &[Segment<&[u8]>], gap: usize) -> Vec<Segment<Vec<u8>>> {
    let mut joined: Vec<Segment<Vec<u8>>> = Vec::new();
    for (begin, bytes) in segments {
        match joined.last_mut() {
            Some((first, data)) if *begin as usize - (*first as usize + data.len()) <= gap => {
                data.resize(*begin as usize - *first as usize, 0);
                data.extend_from_slice(bytes);
            }
            _ => joined.push((*begin, bytes.to_vec())),
        }
    }
    joined
}

fn section_of(segments: &[Segment<Vec<u8>>]) -> DataSection {
    let mut section = DataSection::new();
    for (begin, bytes) in segments {
        section.active(0, &ConstExpr::i32_const(begin.cast_signed()), bytes.iter().copied());
    }
    section
}

/// What a segment of its own costs in bytes, about.
const SMALLEST_GAP: usize = 8;
const LARGEST_GAP: usize = 1 << 20;
const MAX_SEGMENTS: usize = 5_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn data(module: &[u8]) -> Vec<Segment<Vec<u8>>> {
        let mut all = Vec::new();
        for payload in Parser::new(0).parse_all(module) {
            if let Payload::DataSection(section) = payload.unwrap() {
                all.extend(active(section).unwrap().unwrap().into_iter().map(|(begin, bytes)| (begin, bytes.to_vec())));
            }
        }
        all
    }

    #[test]
    fn near_segments_become_one_and_far_ones_stay() {
        let module = wat::parse_str(
            r#"(module (memory 1) (func (export "f") (drop (i32.const 1)))
               (data (i32.const 8) "ab") (data (i32.const 1000) "f") (data (i32.const 16) "e") (data (i32.const 14) "cd"))"#,
        );
        let merged = merge(&module.unwrap()).unwrap();
        wasmparser::validate(&merged).unwrap();
        assert_eq!(data(&merged), [(8, b"ab\0\0\0\0cde".to_vec()), (1000, b"f".to_vec())]);
    }

    #[test]
    fn very_many_segments_become_few_enough() {
        let segments: Vec<Segment<&[u8]>> = (0..100_000).map(|it| (it * 20, &b"x"[..])).collect();
        let fewer = fewer(&segments);
        assert!(fewer.len() <= MAX_SEGMENTS, "{}", fewer.len());
        let (begin, bytes) = fewer.last().unwrap();
        assert_eq!(*begin as usize + bytes.len(), 99_999 * 20 + 1);
    }

    #[test]
    fn what_could_mean_another_thing_stays_as_it_is() {
        for text in [
            r#"(module (memory 1) (data "passive") (data (i32.const 0) "a"))"#,
            r#"(module (memory 1) (data (i32.const 8) "ab") (data (i32.const 9) "c"))"#,
            r#"(module (import "a" "b" (global i32)) (memory 1) (data (global.get 0) "a"))"#,
            r#"(module (memory 1) (data (i32.const 0) "a") (func (data.drop 0)))"#,
        ] {
            let module = wat::parse_str(text).unwrap();
            assert_eq!(merge(&module).unwrap(), module, "{text}");
        }
    }
}
