// Kubernetes' reviews as the records of the contract, and the word for each answer. Enough for the samples; what a server
// must check besides (sizes, nesting, hostile answers) is not here.

export function ask(policy, text) {
  const review = JSON.parse(text);
  try {
    if (review.kind === "TokenReview") return token(policy.authentication.authenticate(tokenReview(review.spec)));
    if (review.kind === "SubjectAccessReview") return access(policy.authorization.authorize(accessReview(review.spec)));
    if (policy.changes && ["ADDED", "MODIFIED", "DELETED"].includes(review.type)) return actions(policy.changes.handle(change(review)));
    if (review.kind !== "AdmissionReview") return { verdict: "answered", message: policy.provider.handleEvent(text) };
    const request = admissionRequest(review.request);
    return policy.mutating ? mutation(policy.mutating.mutate(request)) : validation(policy.validating.validate(request));
  } catch (error) {
    // The policy's own words, or a trap.
    return { verdict: "error", message: typeof error === "string" ? error : String(error.payload ?? error) };
  }
}

const validation = ({ outcome: { tag, val } }) => ({ verdict: tag, message: val?.message });

function mutation({ outcome: { tag, val } }) {
  if (tag === "denied") return { verdict: "denied", message: val.message };
  return val.tag === "unchanged" ? { verdict: "unchanged" } : { verdict: "changed", message: val.val };
}

const token = ({ tag, val }) => ({ verdict: tag, message: tag === "authenticated" ? val.user.username : val });

const access = ({ decision, reason }) => ({ verdict: decision, message: reason });

// Objects cross as JSON text. JSON.parse loses what a double cannot hold: a host that must not would cut the text out of the
// review, as Verdict does.
const json = (value) => (value === undefined || value === null ? undefined : JSON.stringify(value));

const actions = (all) => ({ verdict: "answered", message: all.map(({ tag }) => tag).join(", ") });

const change = ({ type, object, oldObject, replayed = false }) => ({
  type: type.toLowerCase(),
  object: json(object),
  oldObject: json(oldObject),
  replayed,
});

const admissionRequest = (request) => ({
  uid: request.uid,
  operation: request.operation.toLowerCase(),
  kind: request.kind,
  resource: request.resource,
  subresource: request.subResource ?? "",
  requested: undefined,
  namespace: request.namespace ?? "",
  name: request.name ?? "",
  user: user(request.userInfo),
  object: json(request.object),
  oldObject: json(request.oldObject),
  options: json(request.options),
  dryRun: request.dryRun ?? false,
});

const tokenReview = ({ token, audiences = [] }) => ({ token, audiences });

function accessReview({ user: username, uid, groups, extra, resourceAttributes, nonResourceAttributes }) {
  const names = ["verb", "group", "version", "resource", "subresource", "namespace", "name"];
  const attributes = resourceAttributes
    ? {
        tag: "resource",
        val: {
          ...Object.fromEntries(names.map((name) => [name, resourceAttributes[name] ?? ""])),
          fieldSelector: [],
          labelSelector: [],
        },
      }
    : { tag: "non-resource", val: { verb: "", path: "", ...nonResourceAttributes } };
  return { user: user({ username, uid, groups, extra }), attributes };
}

const user = ({ username = "", uid = "", groups = [], extra = {} }) => ({
  username,
  uid,
  groups,
  extra: Object.entries(extra).map(([key, values]) => ({ key, values })),
});
