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

test("a provider answers any JSON, and has the server's functions", () => {
  const handleEvent = (event) => {
    sdk.audit("severity", "high");
    return { twice: event.n * 2, raw: sdk.rawReview(), env: sdk.env("A") ?? null };
  };
  const answer = load({ handleEvent }, {}, { env: { A: "1" } }).handleEvent({ n: 2 });
  assert.deepEqual(answer, { twice: 4, raw: { n: 2 }, env: "1" });
  assert.deepEqual(takeAudited(), [{ key: "severity", value: "high" }]);
});
