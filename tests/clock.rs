//! What time it is in a case (`now:`), for a policy in each language and by each clock that it can ask.

use std::{fs, path::Path};

use crate::{
    languages::every_component,
    support::{fixtures, verdict::verdict},
};

/// `verdict test` of cases that ask `component`, as a validator, what time it is. Where settings do not say that it should
/// tell, the object's name does.
fn test(component: &Path, more: &str, cases: &str) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let policy = format!(
        "apiVersion: verdict.dev/v1alpha1\nkind: Validator\nmetadata: {{name: p}}\nspec:\n  component: {{path: {}}}\n  settings: {{do: clock}}\n  limits: {{timeoutMilliseconds: 20000, memory: 256Mi}}\n{more}",
        component.display()
    );
    fs::write(folder.path().join("p.yaml"), policy).unwrap();
    let object = "object: {apiVersion: v1, kind: ConfigMap, metadata: {name: clock}}";
    let head = "apiVersion: author.verdict.dev/v1alpha1\nkind: PolicyTest\npolicies: [../p.yaml]\ncases:\n";
    let tests = folder.path().join("tests");
    fs::create_dir(&tests).unwrap();
    fs::write(tests.join("a.yaml"), head.to_owned() + &cases.replace("$OBJECT", object)).unwrap();
    let (code, out, error) = verdict(&["test", folder.path().to_str().unwrap()]);
    (code, out + &error)
}

/// All clocks that the policy asks tell what the case says, in whatever zone that is written; and without it the machine's.
fn tells(component: &Path, clocks: usize) {
    let all = |seconds: &str| vec![seconds; clocks].join(" ");
    let cases = format!(
        "- {{name: a Monday in Berlin, $OBJECT, now: 2026-03-02T09:30:00+01:00, expect: {{verdict: denied, message: '{}'}}}}\n\
         - {{name: the first, $OBJECT, now: '1970-01-01T00:00:01.999999999Z', expect: {{verdict: denied, message: '{}'}}}}\n\
         - {{name: far away, $OBJECT, now: '2261-01-01T00:00:00Z', expect: {{verdict: denied, message: '{}'}}}}\n",
        all("1772440200"),
        all("1"),
        all("9183110400"),
    );
    let (code, out) = test(component, "", &cases);
    assert_eq!(code, 0, "{out}");
    let (code, out) = test(component, "", "- {name: a, $OBJECT, expect: {verdict: denied, message: '1772440200'}}\n");
    assert!(code == 1 && out.contains("message:\n  expected … 1772440200 …"), "{out}");
}

#[test]
fn it_is_what_the_case_says() {
    every_component(|language, component| tells(component, language.clocks));
}

/// An instance that is used again has the time of each review, not that of its first.
#[test]
fn a_reused_instance_has_the_time_of_each_case() {
    let case = |index: u64| {
        let second = 1_772_440_200 + index;
        format!(
            "- {{name: case {index}, $OBJECT, now: '2026-03-02T08:30:{index:02}Z', expect: {{verdict: denied, message: {second} {second}}}}}\n"
        )
    };
    let cases: String = (0..40).map(case).collect();
    let (code, out) = test(&fixtures::misbehaving("admission"), "  instancePolicy: Reuse\n", &cases);
    assert_eq!(code, 0, "{out}");
}
