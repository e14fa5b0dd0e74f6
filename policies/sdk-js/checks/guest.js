import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";

import * as sdk from "../index.js";
import { PolicyError, admissionReview, load, settingsErrors, takeAudited, takeLogged } from "../testing.js";

const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "p" }, spec: { containers: [{ image: "a" }] } };
const review = admissionReview(pod, { user: { username: "jane", extra: { team: ["a", "b"] } } });
const failure = (policy, name = "validate") => {
  try {
    load(policy)[name](name === "authenticate" ? { spec: { token: "t" } } : review);
  } catch (error) {
    assert.ok(error instanceof PolicyError);
    return error.message;
  }
  return assert.fail("it answered");
};

test("a validator sees the request and denies with all that kubectl shows", () => {
  const validate = (request) => {
    assert.equal(request.operation, "CREATE");
    assert.deepEqual(request.user.extra, { team: ["a", "b"] });
    assert.equal(request.object.spec.containers[0].image, "a");
    assert.ok(request.isKind("", "Pod"));
    const { spec, path } = sdk.podSpec(request);
    assert.equal(spec, request.object.spec);
    const field = sdk.fieldPath(path).field("containers").index(0).field("image");
    return sdk.deny("no", { code: 422, reason: "Invalid", causes: [sdk.cause(field, "FieldValueInvalid", "bad")], warnings: ["w"], annotations: { a: "b" } });
  };
  assert.deepEqual(load({ validate }).validate(review), {
    verdict: "denied",
    denial: { message: "no", code: 422, reason: "Invalid", causes: [{ field: "spec.containers[0].image", reason: "FieldValueInvalid", message: "bad" }] },
    warnings: ["w"],
    annotations: { a: "b" },
  });
  assert.equal(load({ validate: () => sdk.fromCauses("no", []) }).validate(review).verdict, "allowed");
});

test("what is no answer is an error, never an allow", () => {
  assert.match(failure({ validate() {} }), /validate must return allow\(\) or deny\(message\), got nothing/);
  assert.match(failure({ validate: () => true }), /got true/);
  assert.match(failure({ validate: async () => sdk.allow() }), /returned a promise/);
  assert.match(failure({ validate: (it) => sdk.change(it, (pod) => (pod.a = 1)) }), /export mutate instead/);
  assert.match(failure({ validate: () => sdk.deny() }), /deny: expected a message, got undefined/);
  assert.match(failure({ validate: () => sdk.deny("x", { code: 200 }) }), /from 400 to 599, got 200/);
  assert.match(failure({ mutate() {} }, "mutate"), /change\(request, ...\), unchanged\(\) or deny/);
  assert.match(failure({ authenticate: () => sdk.authenticated({ username: "" }) }, "authenticate"), /username is empty/);
});

test("an exception becomes its message and where it was thrown", () => {
  const message = failure({
    validate() {
      throw new RangeError("out of it", { cause: new Error("deeper") });
    },
  });
  assert.match(message, /^RangeError: out of it\n {2}caused by Error: deeper\n {2}at .*checks.guest\.js/);
  assert.ok(message.split("\n").length <= 5, message);
  assert.match(failure({ validate() { throw "words"; } }), /validate threw "words"/);
});

test("whoever misses Intl is told where to read on", () => {
  const validate = () => {
    throw new ReferenceError("Intl is not defined");
  };
  assert.match(failure({ validate }), /QuickJS has none: see "No Intl" in/);
});

test("a mutator changes the object", () => {
  const policy = { mutate: (request) => sdk.change(request, (pod) => ((pod.metadata.labels ??= {}).team = "a")) };
  const answer = load(policy).mutate(review);
  assert.equal(answer.verdict, "changed");
  assert.deepEqual(answer.object, { ...pod, metadata: { name: "p", labels: { team: "a" } } });
  assert.equal(load(policy).mutate(admissionReview(answer.object)).verdict, "unchanged");
  assert.match(failure({ mutate: (it) => sdk.change({ ...it, objectJson: undefined }, () => {}) }, "mutate"), /no object/);
  const merged = load({ mutate: () => sdk.mergePatch({ spec: null, n: 2n ** 64n }) }).mutate(review);
  assert.equal(merged.patch, '{"spec":null,"n":18446744073709551616}');
  assert.equal("spec" in merged.object, false);
});

test("the pod spec of any workload is read and changed", () => {
  const template = { template: { spec: { containers: [{ name: "a" }] } } };
  const review = (apiVersion, kind, spec, more) => admissionReview({ apiVersion, kind, metadata: {}, spec }, more);
  const policy = { mutate: (request) => sdk.changePodSpec(request, (spec) => (spec.hostNetwork = false)) };
  for (const [apiVersion, kind, spec] of [
    ["v1", "Pod", template.template.spec],
    ["apps/v1", "Deployment", template],
    ["batch/v1", "CronJob", { jobTemplate: { spec: template } }],
  ]) {
    const answer = load(policy).mutate(review(apiVersion, kind, spec));
    assert.equal(answer.verdict, "changed", kind);
    assert.ok(JSON.stringify(answer.object).includes('"hostNetwork":false'), kind);
  }
  assert.equal(load(policy).mutate(review("v1", "ConfigMap", {})).verdict, "unchanged");
  assert.equal(load(policy).mutate(review("apps/v1", "Deployment", template, { subResource: "scale" })).verdict, "unchanged");
});

test("a mutator may give the whole object", () => {
  const answer = load({ mutate: (request) => sdk.full({ ...request.object, whole: true }) }).mutate(review);
  assert.equal(answer.verdict, "changed");
  assert.deepEqual(answer.object, { ...pod, whole: true });
});

test("settings errors have their paths, all at once", () => {
  const init = (settings) => {
    const errors = Object.keys(settings).map((it) => new sdk.SettingsError(sdk.pointer(it), `no ${it}`));
    sdk.SettingsError.throwIfAny(errors);
    settings.missing.field;
  };
  assert.deepEqual(settingsErrors({ init }, { "a/b": 1, c: 2 }), [
    { path: "/a~1b", message: "no a/b" },
    { path: "/c", message: "no c" },
  ]);
  const [{ path, message }] = settingsErrors({ init }, {});
  assert.equal(path, "");
  assert.match(message, /^TypeError: .*\n {2}at .*checks.guest\.js/);
  assert.throws(() => load({ init }, { c: 1 }), { message: "the settings are refused: /c: no c" });
});

test("a token is not shown by printing the review", () => {
  const authenticate = (review) => {
    console.debug;
    sdk.log.info(JSON.stringify(review));
    return review.token === "s3cret" ? sdk.authenticated({ username: "jane", extra: { a: ["b"] } }) : sdk.unknown();
  };
  const subject = load({ authenticate });
  const answer = subject.authenticate({ kind: "TokenReview", spec: { token: "s3cret" } });
  assert.deepEqual(answer.user, { username: "jane", uid: "", groups: [], extra: { a: ["b"] } });
  assert.equal(subject.verdict({ kind: "TokenReview", spec: { token: "other" } }), "unknown");
  assert.deepEqual(takeLogged()[0], { level: "info", message: '{"audiences":[]}' });
  const shown = [];
  load({ authenticate: (review) => (shown.push(inspect(review), inspect({ review }, { depth: 9 }), `${review}`), sdk.unknown()) }).authenticate({
    kind: "TokenReview",
    spec: { token: "s3cret", audiences: ["api"] },
  });
  assert.ok(!shown.join().includes("s3cret"), shown.join());
  assert.ok(shown[0].includes("api"), shown[0]);
});

test("an authorizer is asked about a resource or a path", () => {
  const authorize = ({ resourceAttributes: resource, nonResourceAttributes: path }) =>
    resource ? sdk.ruling.allow(`${resource.verb} ${resource.labelSelector[0].operator}`) : sdk.ruling.deny(path.path);
  const subject = load({ authorize });
  const labelSelector = { requirements: [{ key: "a", operator: "NotIn", values: ["b"] }] };
  const ask = (spec) => subject.authorize({ kind: "SubjectAccessReview", spec: { user: "jane", ...spec } });
  assert.deepEqual(ask({ resourceAttributes: { verb: "list", labelSelector } }), { verdict: "allow", reason: "list NotIn" });
  assert.deepEqual(ask({ nonResourceAttributes: { verb: "get", path: "/healthz" } }), { verdict: "deny", reason: "/healthz" });
});

const deployment = { apiVersion: "apps/v1", kind: "Deployment", metadata: { namespace: "shop", name: "web" }, spec: { n: 1 } };

test("a change is answered with actions", () => {
  const web = { apiVersion: "apps/v1", kind: "Deployment", namespace: "shop", name: "web" };
  const map = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" } };
  const handleChange = (change) => {
    assert.deepEqual([change.type, change.replayed, change.oldObject], ["MODIFIED", true, undefined]);
    assert.deepEqual(change.key, web);
    assert.equal(change.object, change.object);
    const { action } = sdk;
    return [
      action.againAfter(0.2),
      action.againAfter(1e9),
      action.event("Seen", "it was seen"),
      action.warning("Bad", "it is bad"),
      { event: { reason: "Plain" } },
      action.apply(map),
      action.mergePatch(change.key, { spec: null, n: 2n ** 64n }),
      action.mergePatchStatus(change.key, { status: {} }),
      action.jsonPatch({ apiVersion: "v1", kind: "Node", name: "n" }, [{ op: "remove", path: "/a" }]),
      action.delete(change.key),
    ];
  };
  const subject = load({ handleChange });
  const change = { type: "MODIFIED", object: deployment, replayed: true };
  assert.deepEqual(subject.handleChange(change), [
    { againAfter: 1 },
    { againAfter: 86400 },
    { event: { type: "Normal", reason: "Seen", note: "it was seen" } },
    { event: { type: "Warning", reason: "Bad", note: "it is bad" } },
    { event: { type: "Normal", reason: "Plain", note: "" } },
    { apply: map },
    { patch: { ...web, type: "MergePatch", patch: { spec: null, n: 2 ** 64 } } },
    { patch: { ...web, type: "MergePatch", subresource: "status", patch: { status: {} } } },
    { patch: { apiVersion: "v1", kind: "Node", name: "n", type: "JsonPatch", patch: [{ op: "remove", path: "/a" }] } },
    { delete: web },
  ]);
  assert.equal(subject.verdict(change), "answered");
  assert.equal(subject.verdict({ ...change, type: "DELETED" }), "error");
  assert.throws(() => subject.handleChange({ object: deployment }), /its type must be one of ADDED, MODIFIED, DELETED/);
});

test("numbers of a change are exact as text", () => {
  const handleChange = (change) => (sdk.log.info(change.oldObjectJson + change.objectJson), []);
  load({ handleChange }).handleChange('{"type":"ADDED","object":{"n":12345678901234567890},"oldObject":{"n":1.0}}');
  assert.deepEqual(takeLogged(), [{ level: "info", message: '{"n":1.0}{"n":12345678901234567890}' }]);
});

test("what is no action is an error with its place", () => {
  const failure = (actions) => {
    try {
      load({ handleChange: () => actions }).handleChange({ type: "ADDED", object: deployment });
    } catch (error) {
      assert.ok(error instanceof PolicyError);
      return error.message;
    }
    return assert.fail("it answered");
  };
  const key = { apiVersion: "v1", kind: "Pod", name: "a" };
  for (const [actions, words] of [
    [undefined, /handleChange must return a list of actions such as \[action.apply\(object\)\], or \[\] for nothing, got nothing/],
    [{ againAfter: 1 }, /must return a list of actions/],
    [Promise.resolve([]), /returned a promise/],
    [Array(65).fill({ againAfter: 1 }), /65 actions are more than the 64/],
    [[undefined], /action 0: expected an object with exactly one of againAfter, event, apply, patch, delete, got nothing/],
    [Array(1), /action 0: .* got nothing/],
    [[{ againAfter: 1 }, { remove: key }], /action 1: .* got \{remove\}/],
    [[{ againAfter: 1, delete: key }], /got \{againAfter, delete\}/],
    [[{ againAfter: 0 }], /action 0: againAfter: expected from 1 to 86400 seconds, got 0/],
    [[{ againAfter: "5" }], /got a value of type string/],
    [[{ event: { reason: "two words" } }], /event.reason: expected a word of at most 128 letters and digits, got "two words"/],
    [[{ event: { reason: "A", type: "Error" } }], /event.type: expected Normal or Warning, got "Error"/],
    [[{ apply: "text" }], /apply: expected an object, got a value of type string/],
    [[{ apply: { apiVersion: "v1", kind: "Pod", metadata: { generateName: "a" } } }], /apply.metadata.name: expected a text, got nothing/],
    [[{ apply: { kind: "Pod", metadata: { name: "a" } } }], /apply.apiVersion: expected a text, got nothing/],
    [[{ apply: { ...deployment, spec: NaN } }], /apply.spec: JSON has no NaN/],
    [[{ patch: { ...key, type: "Merge", patch: {} } }], /patch.type: expected JsonPatch or MergePatch, got "Merge"/],
    [[{ patch: { ...key, type: "MergePatch", patch: [] } }], /patch.patch: expected an object, got a list/],
    [[sdk.action.jsonPatch(key, {})], /patch.patch: expected a list of operations, got a value of type object/],
    [[{ patch: { ...key, type: "MergePatch", patch: {}, subresource: "exec" } }], /patch.subresource: expected "status", or none/],
    [[sdk.action.delete(deployment)], /delete.metadata: unknown field; expected apiVersion, kind, namespace, name/],
    [[sdk.action.delete({ ...key, name: "" })], /delete.name: expected a name, got an empty one/],
  ]) {
    assert.match(failure(actions), words);
  }
  assert.throws(() => sdk.action.againAfter("5"), /expected a number of seconds, got string/);
});

test("a provider answers any JSON, and has the server's functions", () => {
  const handleEvent = (event) => {
    sdk.audit("severity", "high");
    return { twice: event.n * 2, raw: sdk.rawReview(), env: sdk.env("A") ?? null };
  };
  const answer = load({ handleEvent }, {}, { env: { A: "1" } }).handleEvent({ n: 2 });
  assert.deepEqual(answer, { twice: 4, raw: { n: 2 }, env: "1" });
  assert.deepEqual(takeAudited(), [{ key: "severity", value: "high" }]);
});
