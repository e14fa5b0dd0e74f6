//! What several policies said as one answer, divided fairly: none can displace what another said.

use std::collections::BTreeMap;

use super::{
    admission::{Annotation, Cause},
    clean::{INVALID, MAX_ANNOTATION_VALUE, MAX_CAUSES, MAX_WARNING, annotation_key, annotation_value},
    verdict::{AdmissionVerdict, Denied},
};
use crate::text::shorten;

/// The warnings of each policy, the most important first and each one clean, as one list.
pub fn warnings(said: Vec<Vec<String>>) -> Vec<String> {
    let length = |it: &String| it.chars().count();
    let said = fairly(said, MAX_WARNINGS);
    let wanted: Vec<usize> = said.iter().map(|it| it.iter().map(length).sum()).collect();
    let mut kept = Vec::new();
    for (warnings, mut left) in said.into_iter().zip(shares(&wanted, MAX_ALL_WARNINGS)) {
        for warning in warnings {
            let warning = shorten(&warning, left.min(MAX_WARNING));
            left -= length(&warning);
            kept.push(warning);
        }
    }
    kept.retain(|it| !it.is_empty());
    kept
}

/// The audit annotations of each policy by its name, the most important first, under keys of its own.
pub fn annotations(said: Vec<(&str, Vec<Annotation>)>) -> BTreeMap<String, String> {
    let (names, said): (Vec<&str>, Vec<Vec<Annotation>>) = said.into_iter().unzip();
    // Everybody's first, however many they are.
    let total = said.iter().filter(|it| !it.is_empty()).count().max(MAX_ANNOTATIONS);
    let said: Vec<(String, String)> = fairly(said, total)
        .into_iter()
        .zip(names)
        .flat_map(|(said, name)| said.into_iter().map(move |it| (annotation_key(name, &it.key), it.value)))
        .map(|(key, value)| (key, annotation_value(&value)))
        .collect();
    let wanted: Vec<usize> = said.iter().map(|(_, value)| value.chars().count()).collect();
    let mut annotations = BTreeMap::new();
    for ((key, value), share) in said.into_iter().zip(shares(&wanted, MAX_ALL_ANNOTATIONS)) {
        annotations.entry(key).or_insert_with(|| shorten(&value, share));
    }
    annotations
}

/// One denial of several: the messages and causes of all, the code and reason that they share, and when to try again if
/// all of them may end.
pub fn denial(mut denials: Vec<Denied>) -> Option<Denied> {
    if denials.len() <= 1 {
        return denials.pop();
    }
    // What a user can mend comes before what only the operator can.
    let by_policy = denials.iter().filter(|it| it.code < 500).collect::<Vec<_>>();
    let first = by_policy.first().copied().or(denials.first())?;
    let alike = by_policy.iter().all(|it| (it.code, &it.reason) == (first.code, &first.reason));
    let (code, reason) = if alike { (first.code, first.reason.clone()) } else { (403, "Forbidden".to_owned()) };
    let wanted: Vec<usize> = denials.iter().map(|it| it.message.chars().count()).collect();
    let shares = shares(&wanted, MAX_ALL_MESSAGES);
    let messages: Vec<String> = denials.iter().zip(shares).map(|(it, share)| shorten(&it.message, share)).collect();
    // It helps nobody to come again before the last of them ends, or if one of them never does.
    let retry_after = denials.iter().map(|it| it.retry_after).collect::<Option<Vec<u32>>>();
    let retry_after = retry_after.and_then(|all| all.into_iter().max());
    let shows_causes = reason == INVALID;
    let causes_of = |it: Denied| match it.causes {
        // kubectl leaves out the message of an Invalid.
        none if none.is_empty() && shows_causes => vec![Cause { message: it.message, ..Cause::default() }],
        causes => causes,
    };
    let causes = fairly(denials.into_iter().map(causes_of).collect(), MAX_CAUSES);
    let causes = causes.into_iter().flatten().collect();
    Some(Denied { message: messages.join("\n"), code, reason, causes, retry_after })
}

/// Two verdicts on the same review as one; its patch is nobody's.
pub fn verdicts(one: AdmissionVerdict, other: AdmissionVerdict) -> AdmissionVerdict {
    AdmissionVerdict {
        denial: denial(one.denial.into_iter().chain(other.denial).collect()),
        patch: None,
        warnings: warnings(vec![one.warnings, other.warnings]),
        annotations: one.annotations.into_iter().chain(other.annotations).collect(),
    }
}

/// How much each gets of `total`: what it wants, or as much as everybody else who wants more. What cannot be divided goes
/// to the first of them.
fn shares(wanted: &[usize], total: usize) -> Vec<usize> {
    let mut ascending: Vec<usize> = (0..wanted.len()).rev().collect();
    ascending.sort_by_key(|at| wanted[*at]);
    let mut shares = vec![0; wanted.len()];
    let mut left = total;
    for (done, at) in ascending.iter().enumerate() {
        let share = wanted[*at].min(left / (wanted.len() - done));
        shares[*at] = share;
        left -= share;
    }
    shares
}

/// The first of what each says, in their order, `total` in all at most.
fn fairly<T>(lists: Vec<Vec<T>>, total: usize) -> Vec<Vec<T>> {
    let wanted: Vec<usize> = lists.iter().map(Vec::len).collect();
    let cut = |(mut list, share): (Vec<T>, usize)| {
        list.truncate(share);
        list
    };
    lists.into_iter().zip(shares(&wanted, total)).map(cut).collect()
}

/// Warnings of one review.
const MAX_WARNINGS: usize = 64;
/// Characters of all warnings of one review: above that kube-apiserver cuts and drops them (pkg/endpoints/filters/warning.go
/// of k8s.io/apiserver).
const MAX_ALL_WARNINGS: usize = 4096;
/// Audit annotations of one review, where no more policies than that have one.
const MAX_ANNOTATIONS: usize = 64;
/// Characters of their values together.
const MAX_ALL_ANNOTATIONS: usize = MAX_ANNOTATIONS * MAX_ANNOTATION_VALUE;
/// Characters of the messages of all denials of one review.
const MAX_ALL_MESSAGES: usize = 32 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn annotation(key: &str, value: &str) -> Annotation {
        Annotation { key: key.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn a_chatty_policy_erases_nothing_that_another_annotates() {
        let chatty = (0..1000).map(|it| annotation(&format!("k{it}"), &"x".repeat(10_000))).collect();
        let quiet = vec![annotation("denied", "no"), annotation("why", "because")];
        let made = annotations(vec![("chatty", chatty), ("quiet", quiet)]);
        assert_eq!((made["quiet.denied"].as_str(), made["quiet.why"].as_str()), ("no", "because"));
        assert_eq!(made.len(), 64);
        assert!(made.values().map(String::len).sum::<usize>() <= MAX_ALL_ANNOTATIONS + 64 * '…'.len_utf8());
    }

    #[test]
    fn the_first_annotation_of_a_policy_always_stays() {
        let of =
            |policy: &str| vec![annotation("denied", policy), annotation("denied", "forged"), annotation("more", "")];
        let names: Vec<String> = (0..200).map(|it| format!("p{it}")).collect();
        let made = annotations(names.iter().map(|it| (it.as_str(), of(it))).collect());
        assert_eq!(made.len(), 200);
        for name in &names {
            assert_eq!(made[&format!("{name}.denied")], *name);
        }
        let made = annotations(vec![("one", of("one"))]);
        assert_eq!((made["one.denied"].as_str(), made.len()), ("one", 2));
    }

    #[test]
    fn every_policy_gets_its_warnings_through() {
        let chatty: Vec<String> = (0..100).map(|it| format!("{it} {}", "x".repeat(250))).collect();
        let made = warnings(vec![chatty.clone(), vec!["quiet: one".to_owned()], chatty]);
        assert!(made.contains(&"quiet: one".to_owned()));
        assert!(made.iter().map(|it| it.chars().count()).sum::<usize>() <= 4096, "{made:?}");
        let many: Vec<Vec<String>> = (0..64).map(|it| vec![format!("{it} {}", "y".repeat(200))]).collect();
        let made = warnings(many);
        assert_eq!(made.len(), 64);
        for (at, warning) in made.iter().enumerate() {
            assert!(warning.starts_with(&format!("{at} y")), "{warning}");
        }
    }

    #[test]
    fn many_long_denials_are_one_of_bounded_length() {
        let cause = |it: usize| Cause { message: format!("cause {it}"), ..Cause::default() };
        let denied = |name: &str, length: usize, causes: usize| Denied {
            message: format!("{name}: {}", "x".repeat(length)),
            code: 403,
            reason: "Forbidden".to_owned(),
            causes: (0..causes).map(cause).collect(),
            retry_after: None,
        };
        let mut all: Vec<Denied> = (0..100).map(|it| denied(&format!("long-{it}"), 8000, 256)).collect();
        all.push(denied("short", 3, 1));
        let one = denial(all).unwrap();
        assert!(one.message.chars().count() <= MAX_ALL_MESSAGES + 101, "{}", one.message.len());
        assert!(one.message.ends_with("\nshort: xxx"));
        for it in 0..100 {
            assert!(one.message.contains(&format!("long-{it}: xxx")), "{it}");
        }
        assert_eq!(one.causes.len(), MAX_CAUSES);
        assert!(one.causes.iter().filter(|it| it.message == "cause 0").count() == 101);
    }

    #[test]
    fn of_an_invalid_nobodys_words_are_lost() {
        let denied = |message: &str, code: u16, reason: &str, causes: Vec<Cause>| Denied {
            message: message.to_owned(),
            code,
            reason: reason.to_owned(),
            causes,
            retry_after: None,
        };
        let cause = Cause { message: "must be x".to_owned(), field: "data.a".to_owned(), ..Cause::default() };
        let one = denial(vec![
            denied("a: wrong", 422, "Invalid", vec![cause.clone()]),
            denied("b: the policy trapped", 500, "InternalError", Vec::new()),
        ])
        .unwrap();
        assert_eq!((one.code, one.reason.as_str()), (422, "Invalid"));
        assert_eq!(one.causes[0], cause);
        assert_eq!(one.causes[1].message, "b: the policy trapped");
    }

    #[test]
    fn several_may_come_again_when_the_last_of_them_ends_if_each_does() {
        let denied = |code: u16, retry_after: Option<u32>| Denied {
            message: "no".to_owned(),
            code,
            reason: "TooManyRequests".to_owned(),
            causes: Vec::new(),
            retry_after,
        };
        let one = |all: Vec<Denied>| denial(all).map(|it| (it.code, it.retry_after)).unwrap();
        assert_eq!(one(vec![denied(429, Some(5))]), (429, Some(5)));
        assert_eq!(one(vec![denied(429, Some(5)), denied(429, Some(40)), denied(429, Some(7))]), (429, Some(40)));
        assert_eq!(one(vec![denied(429, Some(5)), denied(403, None)]), (403, None));
        assert_eq!(one(vec![denied(429, Some(5)), denied(500, None)]), (429, None));
    }

    #[test]
    fn nobody_takes_the_part_of_another() {
        for (wanted, total, expected) in [
            (&[][..], 5, &[][..]),
            (&[1, 2, 3], 10, &[1, 2, 3]),
            (&[100, 1, 100], 21, &[10, 1, 10]),
            (&[100, 1, 100], 22, &[11, 1, 10]),
            (&[3, 100, 0, 100], 0, &[0, 0, 0, 0]),
            (&[3, 100, 0, 100], 13, &[3, 5, 0, 5]),
            (&[1, 1, 1, 1], 2, &[1, 1, 0, 0]),
            (&[5, 5, 5], 8, &[3, 3, 2]),
        ] {
            assert_eq!(shares(wanted, total), expected, "{wanted:?} of {total}");
        }
        assert_eq!(fairly(vec![vec![1, 2, 3], vec![4], vec![]], 3), [vec![1, 2], vec![4], vec![]]);
    }

    #[test]
    fn all_of_it_is_used_and_no_more() {
        let mut seed = 1_u64;
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 40) as usize % 50
        };
        for _ in 0..1000 {
            let wanted: Vec<usize> = (0..next()).map(|_| next()).collect();
            let total = next() * 10;
            let shares = shares(&wanted, total);
            let (asked, given) = (wanted.iter().sum::<usize>(), shares.iter().sum::<usize>());
            assert_eq!(given, asked.min(total), "{wanted:?} of {total}: {shares:?}");
            let most = shares.iter().max().copied().unwrap_or_default();
            for (share, wanted) in shares.iter().zip(&wanted) {
                assert!(share == wanted || share + 1 >= most, "{wanted} got {share}, another {most}");
            }
        }
    }
}
