// Kubernetes' reviews as the records of the contract, as the server makes them.

import { parse, writer } from "../json.js";

export function admission(text) {
  const { value: review, spelling } = parse(text);
  const request = expect(review, "request", "an AdmissionReview");
  const write = writer(spelling);
  const json = (name) => (request[name] === undefined || request[name] === null ? null : write(request, name, name));
  return {
    uid: request.uid ?? "",
    operation: String(request.operation ?? "CREATE").toLowerCase(),
    kind: { group: "", version: "", kind: "", ...request.kind },
    resource: { group: "", version: "", resource: "", ...request.resource },
    subresource: request.subResource ?? "",
    requested: requested(request),
    namespace: request.namespace ?? "",
    name: request.name ?? "",
    user: user(request.userInfo ?? {}),
    object: json("object"),
    oldObject: json("oldObject"),
    options: json("options"),
    dryRun: request.dryRun ?? false,
  };
}

function requested({ kind, resource, subResource = "", requestKind, requestResource, requestSubResource = "" }) {
  if (requestKind === undefined && requestResource === undefined) return null;
  const own = { kind, resource, subresource: subResource };
  const other = { kind: requestKind ?? kind, resource: requestResource ?? resource, subresource: requestSubResource };
  return JSON.stringify(own) === JSON.stringify(other) ? null : other;
}

export function token(text) {
  const spec = expect(JSON.parse(text), "spec", "a TokenReview");
  return { token: spec.token ?? "", audiences: spec.audiences ?? [] };
}

export function access(text) {
  const spec = expect(JSON.parse(text), "spec", "a SubjectAccessReview");
  const who = user({ username: spec.user, uid: spec.uid, groups: spec.groups, extra: spec.extra });
  const { resourceAttributes: resource, nonResourceAttributes: path } = spec;
  if (!resource) return { user: who, attributes: { tag: "non-resource", val: { verb: "", path: "", ...path } } };
  const names = ["verb", "group", "version", "resource", "subresource", "namespace", "name"];
  const val = Object.fromEntries(names.map((name) => [name, resource[name] ?? ""]));
  val.fieldSelector = selector(resource.fieldSelector);
  val.labelSelector = selector(resource.labelSelector);
  return { user: who, attributes: { tag: "resource", val } };
}

export function change(text) {
  const { value: given, spelling } = parse(text);
  if (!TYPES.includes(given?.type)) throw new Error(`expected a change: its type must be one of ${TYPES.join(", ")}`);
  const write = writer(spelling);
  const { object } = given;
  if (typeof object !== "object" || object === null) throw new Error("expected a change: it has no object");
  return {
    type: given.type.toLowerCase(),
    object: write(given, "object", "object"),
    oldObject: given.oldObject === undefined || given.oldObject === null ? undefined : write(given, "oldObject", "oldObject"),
    replayed: given.replayed ?? false,
  };
}

const TYPES = ["ADDED", "MODIFIED", "DELETED"];

const OPERATORS = { In: "in", NotIn: "not-in", Exists: "exists", DoesNotExist: "does-not-exist" };

const selector = (it) =>
  (it?.requirements ?? []).map(({ key, operator, values = [] }) => ({ key, operator: OPERATORS[operator], values }));

const user = ({ username = "", uid = "", groups = [], extra = {} }) => ({
  username,
  uid,
  groups,
  extra: Object.entries(extra).map(([key, values]) => ({ key, values })),
});

function expect(review, field, name) {
  if (typeof review?.[field] !== "object") throw new Error(`expected ${name}: it has no ${field}`);
  return review[field];
}

/** A review of a bare object, as a CREATE of it. */
export function admissionReview(object, { operation = "CREATE", oldObject, user: asks = "jane", ...more } = {}) {
  const [group, version] = /^(?:(.*)\/)?(.*)$/.exec((object ?? oldObject).apiVersion ?? "v1").slice(1);
  const { kind = "", metadata = {} } = object ?? oldObject;
  const request = {
    uid: "00000000-0000-0000-0000-000000000000",
    operation,
    kind: { group: group ?? "", version, kind },
    resource: { group: group ?? "", version, resource: `${kind.toLowerCase()}s` },
    namespace: metadata.namespace ?? "default",
    name: metadata.name ?? "",
    userInfo: typeof asks === "string" ? { username: asks, groups: ["system:authenticated"] } : asks,
    ...(object === undefined || operation === "DELETE" ? {} : { object }),
    ...(oldObject === undefined ? {} : { oldObject }),
    ...more,
  };
  return { apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request };
}
