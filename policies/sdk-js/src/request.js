// The records of the contract as objects that read like Kubernetes' own.

class AdmissionRequest {
  #cache = new Map();

  constructor(record) {
    this.uid = record.uid;
    this.operation = record.operation.toUpperCase();
    this.kind = record.kind;
    this.resource = record.resource;
    this.subresource = record.subresource;
    this.requested = record.requested ?? undefined;
    this.namespace = record.namespace;
    this.name = record.name;
    this.user = toUser(record.user);
    this.dryRun = record.dryRun;
    this.objectJson = record.object ?? undefined;
    this.oldObjectJson = record.oldObject ?? undefined;
    this.optionsJson = record.options ?? undefined;
  }

  get object() {
    return this.#parsed("objectJson", "object");
  }

  get oldObject() {
    return this.#parsed("oldObjectJson", "oldObject");
  }

  get options() {
    return this.#parsed("optionsJson", "options");
  }

  isKind(group, kind) {
    return this.kind.group === group && this.kind.kind === kind;
  }

  #parsed(source, name) {
    const text = this[source];
    if (text !== undefined && !this.#cache.has(name)) this.#cache.set(name, JSON.parse(text));
    return this.#cache.get(name);
  }
}

class TokenReview {
  #token;

  constructor(record) {
    this.#token = record.token;
    this.audiences = record.audiences;
  }

  // Not a field of its own, so that a review that is printed does not show it.
  get token() {
    return this.#token;
  }
}

export const toAdmissionRequest = (record) => new AdmissionRequest(record);

export const toTokenReview = (record) => new TokenReview(record);

export function toAccessReview({ user, attributes: { tag, val } }) {
  const review = { user: toUser(user), resourceAttributes: undefined, nonResourceAttributes: undefined };
  if (tag === "resource") {
    const { fieldSelector, labelSelector } = val;
    review.resourceAttributes = { ...val, fieldSelector: toSelector(fieldSelector), labelSelector: toSelector(labelSelector) };
  } else {
    review.nonResourceAttributes = val;
  }
  return review;
}

/** Where an object has its PodSpec, by group and kind. */
const TEMPLATES = {
  "/Pod": ["spec"],
  "/PodTemplate": ["template", "spec"],
  "/ReplicationController": ["spec", "template", "spec"],
  "apps/Deployment": ["spec", "template", "spec"],
  "apps/ReplicaSet": ["spec", "template", "spec"],
  "apps/StatefulSet": ["spec", "template", "spec"],
  "apps/DaemonSet": ["spec", "template", "spec"],
  "batch/Job": ["spec", "template", "spec"],
  "batch/CronJob": ["spec", "jobTemplate", "spec", "template", "spec"],
};

export function podSpec(request, object = request.object) {
  const kind = `${request.kind.group}/${request.kind.kind}`;
  const whole = ["", ...(kind === "/Pod" ? ["ephemeralcontainers", "resize"] : [])];
  if (object === undefined || !whole.includes(request.subresource) || !Object.hasOwn(TEMPLATES, kind)) return undefined;
  const spec = TEMPLATES[kind].reduce((it, name) => it?.[name], object);
  return spec === undefined || spec === null ? undefined : { spec, path: TEMPLATES[kind].join(".") };
}

const toUser = ({ username, uid, groups, extra }) => ({
  username,
  uid,
  groups,
  extra: Object.fromEntries(extra.map(({ key, values }) => [key, values])),
});

const OPERATORS = { in: "In", "not-in": "NotIn", exists: "Exists", "does-not-exist": "DoesNotExist" };

const toSelector = (requirements) => requirements.map((it) => ({ ...it, operator: OPERATORS[it.operator] }));
