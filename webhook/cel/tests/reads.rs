//! What is read of an object: enough for every expression, and no more than it needs.

use super::*;
use crate::cel::{Document, Part, Pool, Reads, Unread};

const MANY: usize = 64 << 20;

fn read(object: &Json, reads: &Reads) -> Variables {
    let mut share = Pool::new(MANY, MANY).share();
    let text = object.to_string();
    let end = Instant::now() + Duration::from_secs(30);
    let document = reads.object.as_ref().map(|part| Document::read(&text, part, &mut share, end).unwrap());
    let request = Document::of(request(), &mut share).unwrap();
    Variables::of(Some(&request), document.as_ref(), None)
}

/// What `condition` gives on the parts of `object` that it reads.
pub(super) fn eval_read(condition: &Condition, object: &Json) -> Result<bool, String> {
    eval(condition, &read(object, condition.reads()))
}

/// That, and its cost.
fn priced(condition: &Condition, variables: &Variables) -> (Result<bool, String>, u64) {
    let mut budget = budget();
    let result = condition.eval(variables, &mut budget).map_err(|why| why.to_string());
    (result, budget.spent())
}

/// Objects that have something else in every place.
fn objects() -> Vec<Json> {
    let mut objects = vec![object(), json!({}), json!({"spec": null, "metadata": null})];
    for inner in [
        json!(null),
        json!(5),
        json!(1.5),
        json!("text"),
        json!(""),
        json!([]),
        json!({}),
        json!([1, "a", null, {"name": "a", "image": "b"}, [2]]),
        json!({"name": "a", "image": "b", "a": {"name": {"name": 1}}, "0": 1}),
        json!({"$serde_json::private::Number": "5", "name": "x", "app": true}),
        json!([{"name": "a", "image": "b", "ports": [{"p": 1}]}, {"name": "c", "image": "d", "ports": []}]),
    ] {
        objects.push(json!({"spec": inner, "metadata": {"labels": inner, "name": inner}}));
        objects.push(
            json!({"spec": {"containers": inner, "a": inner}, "metadata": {"labels": {"app": inner, "name": inner}}}),
        );
        objects.push(json!({"spec": {"containers": [inner, inner], "a": [inner]}, "metadata": inner}));
        objects.push(inner);
    }
    objects
}

#[test]
fn an_expression_sees_no_difference_between_an_object_and_what_it_reads_of_it() {
    let expressions = [
        "object == null || object.metadata.name == 'web'",
        "has(object.metadata) && has(object.metadata.labels) && has(object.metadata.labels.app)",
        "'app' in object.metadata.labels",
        "object.metadata.name in object.metadata.labels",
        "'a' in object.spec",
        "1 in object.spec",
        "object.spec in [object.metadata.labels, object.metadata]",
        "object.spec.a in object.spec.containers",
        "size(object.spec.containers) > 1",
        "object.spec.size() == size(object.metadata.labels)",
        "size(object.spec) + size(object.metadata.name) > 3",
        "object.spec.containers.all(c, has(c.image) && c.image.startsWith('b'))",
        "object.spec.containers.exists(c, c == 'a' || c.name == 'a')",
        "object.spec.all(k, k != 'name')",
        "object.spec.all(k, object.spec[k] == 'b' || true)",
        "object.metadata.labels.exists(k, object.metadata.labels[k] == 'a')",
        "object.metadata.labels.all(k, v, k != v)",
        "object.spec.containers.map(c, c.name).exists(n, n == 'a')",
        "object.spec.containers.map(c, has(c.ports), c.ports).all(p, size(p) > 0)",
        "object.spec.containers.filter(c, c.name == 'a').all(c, c.image == 'b')",
        "object.spec.containers.filter(c, has(c.ports)).size() == 1",
        "object.spec.containers.exists_one(c, c.image == 'b')",
        "object.spec.transformList(i, v, v).exists(v, v == 1)",
        "object.spec.transformMap(k, v, v)['name'] == 'a'",
        "object.spec.transformMapEntry(k, v, {k: v}).exists(k, k == 'name')",
        "object.spec.containers.map(c, {'n': c.name, 'i': c}).all(x, x.n == x.i.name)",
        "object.spec.containers[0].name == object.spec.containers[1].name",
        "object.spec[0] == 1",
        "object.spec['containers'][0]['name'] == 'a'",
        "object.spec[object.metadata.name] == 1 || true",
        "object[request.name] == 1",
        "(object.spec.containers + [object.spec]).exists(c, c.name == 'a')",
        "object.spec + object.spec == object.spec",
        "object.metadata.name + 'x' == 'textx'",
        "object.?metadata.?labels.?app.orValue('none') == 'none'",
        "object.?spec.?containers.orValue([]).all(c, c.?image.orValue('') != '')",
        "object[?'spec'][?'a'].hasValue()",
        "object.?spec.a.optMap(v, v == 'text').orValue(false)",
        "object.?spec.optMap(s, s.containers).orValue([]).size() == 0",
        "object.?spec.or(object.?metadata).value().labels == 1",
        "optional.ofNonZeroValue(object.spec).hasValue()",
        "optional.of(object.spec).value().a == 1",
        "type(object.spec) == map",
        "type(object.metadata.name) == string || type(object.metadata.name) == int",
        "object.spec == object.metadata.labels",
        "object.spec == {}",
        "object.spec.containers == [1]",
        "object.spec != null && object.spec == 5 || object.spec == 'text' || object.spec == 1.5",
        "dyn(object.spec).a == 1",
        "(has(object.spec) ? object.spec : object.metadata).name == 'a'",
        "[object.spec, object.metadata].exists(x, has(x.name))",
        "{'s': object.spec}.s.a == 'text'",
        "{'s': object.spec}.all(k, v, v.a == 'text')",
        "object.metadata.labels.map(k, object.metadata.labels[k]).exists(v, v.name.name == 1)",
        "object.spec.sortBy(c, c.name).map(c, c.image)[0] == 'b'",
        "string(object.spec) == '5'",
        "!object.spec",
        "object.spec.name.matches('a')",
        "object.spec.isSorted()",
        "object.spec ? true : false",
    ];
    let objects = objects();
    for text in expressions {
        let condition = Condition::compile("c", text, Subject::Admission).unwrap_or_else(|error| panic!("{error}"));
        for object in &objects {
            let whole = priced(&condition, &Variables::new(request()).with_object(Some(object.clone())));
            assert_eq!(priced(&condition, &read(object, condition.reads())), whole, "{text} on {object}");
        }
    }
}

#[test]
fn what_no_expression_reads_is_not_built() {
    let big = json!({"data": vec!["x".repeat(1000); 1000], "metadata": {"name": "n", "annotations": vec![0; 10_000]}});
    let text = big.to_string();
    let end = Instant::now() + Duration::from_secs(30);
    let takes = |expressions: &[&str]| {
        let mut reads = Reads::default();
        for text in expressions {
            reads.merge(Condition::compile("c", text, Subject::Admission).unwrap().reads());
        }
        // Too little for what is not read.
        let mut share = Pool::new(64 << 10, 64 << 10).share();
        reads.object.map(|part| Document::read(&text, &part, &mut share, end).map(|_| ()))
    };
    assert_eq!(takes(&["request.name == 'n'"]), None);
    let small =
        ["object.metadata.name == 'n'", "has(object.data)", "object != null", "'data' in object", "size(object) == 2"];
    assert_eq!(takes(&small), Some(Ok(())));
    for large in ["object.data[0] == 'x'", "object == oldObject", "object.metadata.all(k, v, v == object.data)"] {
        assert!(matches!(takes(&[large]), Some(Err(Unread::Limit(_)))), "{large}");
    }
}

#[test]
fn memory_is_taken_as_it_is_used_and_given_back() {
    let whole = Condition::compile("c", "object == oldObject", Subject::Admission).unwrap();
    let part: &Part = whole.reads().object.as_ref().unwrap();
    let (pool, end) = (Pool::new(8 << 20, 4 << 20), Instant::now() + Duration::from_secs(30));
    let small = json!([{"a": 0}, {"a": 0}]).to_string();
    let large = format!("[{}0]", "{\"a\":0},".repeat(100_000));
    let mut share = pool.share();
    let document = Document::read(&small, part, &mut share, end).ok().unwrap();
    assert!(share.used() > 0);
    document.forget(&mut share);
    assert_eq!(share.used(), 0);
    assert!(matches!(Document::read(&large, part, &mut share, end), Err(Unread::Limit(_))));
    assert_eq!(share.used(), 0);
    drop(share);
    // Others have it.
    let mut others = [pool.share(), pool.share()];
    for other in &mut others {
        other.take(4 << 20).unwrap();
    }
    assert_eq!(Document::read(&small, part, &mut pool.share(), end).err(), Some(Unread::Memory));
    drop(others);
    assert!(Document::read(&small, part, &mut pool.share(), end).is_ok());
    // Before anything is read.
    assert_eq!(Document::read(&small, part, &mut pool.share(), Instant::now()).err(), Some(Unread::Time));
    assert_eq!(
        Document::read("[1", part, &mut pool.share(), end).err(),
        Some(Unread::Malformed("line 1 column 2".to_owned()))
    );
}
