/**
 * Policies for Verdict. The entry module (`policy.js` or `policy.ts`) exports what it answers:
 *
 * - `validate(request)` an AdmissionReview, without changing the object
 * - `mutate(request)` an AdmissionReview, maybe changing the object
 * - `authenticate(review)` a TokenReview
 * - `authorize(review)` a SubjectAccessReview
 * - `handleEvent(event)` any JSON, with any JSON
 * - `handleChange(change)` a change of an object of a cluster, with a list of what is to be done
 * - `init(settings)` gets the settings once, before anything else; `cleanup()` runs when the policy is unloaded.
 *
 * An exception means "this policy could not decide". It is never an allow: the operator's `failurePolicy` decides, and the
 * text goes to the server's log, not to the user. Functions are not async: a policy answers at once.
 *
 * Every review starts from the state after `init`: what a function changes is gone with its answer. Code at the top level
 * of a module runs once, when the policy is built.
 */

/** What may be exported, as one type: `import * as policy from "./policy.js"` fits it. */
export interface Policy {
  /** Checks the settings; throws {@link SettingsError}, or an `AggregateError` of several. */
  init?(settings: any): void;
  /** Called once when the policy is unloaded. */
  cleanup?(): void;
  validate?(request: AdmissionRequest<any>): Validation;
  mutate?(request: AdmissionRequest<any>): Mutation;
  authenticate?(review: TokenReview): Authentication;
  authorize?(review: SubjectAccessReview): Ruling;
  handleEvent?(event: any): unknown;
  handleChange?(change: ObjectChange<any>): Action[];
}

// Admission

/** Any Kubernetes object. For more, give `AdmissionRequest` a type of your own, or one of a package such as `@kubernetes/client-node`. */
export interface KubernetesObject {
  apiVersion?: string;
  kind?: string;
  metadata?: ObjectMeta;
  [field: string]: any;
}

/** meta.k8s.io/v1 ObjectMeta, as far as policies use it. */
export interface ObjectMeta {
  name?: string;
  generateName?: string;
  namespace?: string;
  uid?: string;
  labels?: Record<string, string> | null;
  annotations?: Record<string, string> | null;
  finalizers?: string[];
  ownerReferences?: { apiVersion: string; kind: string; name: string; uid: string; controller?: boolean }[];
  creationTimestamp?: string | null;
  deletionTimestamp?: string | null;
  [field: string]: any;
}

/** admission.k8s.io/v1 AdmissionRequest. An empty string means "not given". */
export interface AdmissionRequest<T = KubernetesObject> {
  /** Names this call, not the object. One user request can lead to several calls, each with its own uid. */
  readonly uid: string;
  readonly operation: Operation;
  /** The kind of the object as it is here, maybe converted to the version that was registered. */
  readonly kind: GroupVersionKind;
  /** The resource that matched the registration. */
  readonly resource: GroupVersionResource;
  /** For example `scale`; empty for the resource itself. */
  readonly subresource: string;
  /** What the user's request named, where that is not `kind`, `resource` and `subresource`. */
  readonly requested: { kind: GroupVersionKind; resource: GroupVersionResource; subresource: string } | undefined;
  /** Empty for cluster-scoped objects. */
  readonly namespace: string;
  /** The name of the object; empty where none is known. */
  readonly name: string;
  /** Who asks. */
  readonly user: UserInfo;
  /** Nothing will be stored. Decide all the same. */
  readonly dryRun: boolean;
  /** The new object, parsed at first use. `undefined` for DELETE. For CONNECT the options, for example PodExecOptions. */
  readonly object: T | undefined;
  /** The object as stored. Only for UPDATE and DELETE. */
  readonly oldObject: T | undefined;
  /** The options of the operation, for example meta.k8s.io/v1 CreateOptions. */
  readonly options: KubernetesObject | undefined;
  /** The object as JSON, byte for byte as the API server sent it: numbers beyond 2^53 are exact here. */
  readonly objectJson: string | undefined;
  /** The object as stored, as JSON. */
  readonly oldObjectJson: string | undefined;
  /** The options as JSON. */
  readonly optionsJson: string | undefined;
  /** Whether the object is of this group and kind, in any version. The core group is empty. */
  isKind(group: string, kind: string): boolean;
}

export type Operation = "CREATE" | "UPDATE" | "DELETE" | "CONNECT";

/** For example `apps`, `v1`, `Deployment`. */
export interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** For example `apps`, `v1`, `deployments`. */
export interface GroupVersionResource {
  readonly group: string;
  readonly version: string;
  readonly resource: string;
}

/** authentication.k8s.io/v1 UserInfo. */
export interface UserInfo {
  /** For example `system:serviceaccount:default:builder`. */
  readonly username: string;
  /** Tells users apart that had the same name at different times. */
  readonly uid: string;
  /** For example `system:authenticated`. */
  readonly groups: string[];
  /** What else the authenticator knows of the user. Keys are in lower case. */
  readonly extra: Record<string, string[]>;
}

/** The PodSpec of a Pod or of a built-in kind that has a pod template, with the path of it. */
export interface PodSpecAt {
  spec: { containers?: any[] | null; initContainers?: any[] | null; ephemeralContainers?: any[] | null; [field: string]: any };
  /** For example `spec.template.spec`. */
  path: string;
}

/**
 * Where the request's object has its PodSpec. `undefined` for other kinds, for DELETE, and for subresources except
 * `ephemeralcontainers` and `resize` of Pods, which are sent with the whole Pod.
 */
export function podSpec(request: AdmissionRequest<any>, object?: any): PodSpecAt | undefined;

/** The answer of `validate`: made by {@link allow}, {@link deny} or {@link fromCauses}. */
export interface Validation {
  readonly denial: Denial | undefined;
  readonly warnings: string[];
  readonly change?: undefined;
}

/** The answer of `mutate`: made by {@link change}, {@link changePodSpec}, {@link unchanged}, {@link jsonPatch}, {@link mergePatch}, {@link full} or {@link deny}. */
export interface Mutation {
  readonly denial: Denial | undefined;
  readonly warnings: string[];
  readonly change?: unknown;
}

/** Why an object may not enter. */
export interface Denial {
  readonly message: string;
  readonly code: number | null;
  readonly reason: string;
  readonly causes: Cause[];
  readonly retryAfter: number | null;
}

/** One thing that is wrong with the object (meta.k8s.io/v1 StatusCause). */
export interface Cause {
  /** For example `spec.containers[0].image`. */
  field: string | FieldPath;
  /** Machine-readable, for example `FieldValueInvalid`. */
  reason: CauseReason;
  /** For the user. */
  message: string;
}

/** meta.k8s.io/v1 CauseType, or any word. */
export type CauseReason =
  | "FieldValueNotFound"
  | "FieldValueRequired"
  | "FieldValueDuplicate"
  | "FieldValueInvalid"
  | "FieldValueNotSupported"
  | "FieldValueForbidden"
  | "FieldValueTooLong"
  | "FieldValueTooMany"
  | (string & {});

export interface AnswerOptions {
  /** Shown to the user, whether allowed or denied. One line each, at most 256 characters. */
  warnings?: string[];
  /** For the audit log of the API server. The server prefixes the keys with the policy's name. */
  annotations?: Record<string, string>;
}

export interface DenyOptions extends AnswerOptions {
  /** HTTP status code, 400 to 599. Default 403, with `retryAfter` 429. */
  code?: number;
  /** meta.k8s.io/v1 StatusReason, for example `Invalid`. Default `Forbidden`. With `Invalid`, kubectl shows the causes only. */
  reason?: string;
  /** Each violation on its own. */
  causes?: Cause[];
  /** The request may succeed after this many seconds, 1 to 60: clients such as kubectl then try again by themselves. */
  retryAfter?: number;
}

/** The object may enter. */
export function allow(options?: AnswerOptions): Validation;

/** The object may not enter. The user sees the message: say what is wrong and how to mend it. */
export function deny(message: string, options?: DenyOptions): Validation;

/** One cause of a denial. */
export function cause(field: string | FieldPath, reason: CauseReason, message: string): Cause;

/** Allows if there is no cause, else denies with the message and all of them. */
export function fromCauses(message: string, causes: Cause[], options?: DenyOptions): Validation;

/** The object may enter as it is. */
export function unchanged(options?: AnswerOptions): Mutation;

/**
 * The object enters as `edit` leaves the copy that it gets. The difference becomes a patch: what is not touched stays as it
 * is written, numbers beyond 2^53 too. No difference means unchanged. Applied to its own result, a mutator must change
 * nothing: the API server may ask again. A `bigint` is written as a number.
 */
export function change<T>(request: AdmissionRequest<T>, edit: (object: T) => void, options?: AnswerOptions): Mutation;

/** The object enters changed by a JSON Patch (RFC 6902); an empty one changes nothing. See {@link pointer}. */
export function jsonPatch(operations: JsonPatchOperation[], options?: AnswerOptions): Mutation;

/** As {@link change}, of the PodSpec of whatever workload it is; unchanged where {@link podSpec} finds none. */
export function changePodSpec(request: AdmissionRequest<any>, edit: (spec: PodSpecAt["spec"]) => void, options?: AnswerOptions): Mutation;

/**
 * This object enters instead. Numbers that JavaScript cannot hold are not what they were, where {@link change} leaves them alone.
 */
export function full(object: object, options?: AnswerOptions): Mutation;

/** The object enters changed by a JSON Merge Patch (RFC 7386): what is named is set, `null` removes. */
export function mergePatch(patch: object, options?: AnswerOptions): Mutation;

export type JsonPatchOperation =
  | { op: "add" | "replace" | "test"; path: string; value: unknown }
  | { op: "remove"; path: string }
  | { op: "move" | "copy"; from: string; path: string };

/** The path of a field as Kubernetes writes it. */
export class FieldPath {
  /** The field `name` of the object at this path; dots go deeper. */
  field(name: string): FieldPath;
  /** The item `index` of the list at this path. */
  index(index: number): FieldPath;
  /** The entry `key` of the map at this path, for example of labels: `metadata.labels[example.org/team]`. */
  key(key: string): FieldPath;
  toString(): string;
}

/** `fieldPath("spec", "containers", 0, "image")` is `spec.containers[0].image`. */
export function fieldPath(...segments: (string | number)[]): FieldPath;

/** A JSON Pointer (RFC 6901): `pointer("metadata", "labels", "a/b")` is `/metadata/labels/a~1b`. */
export function pointer(...segments: (string | number)[]): string;

// Authentication

/** authentication.k8s.io/v1 TokenReviewSpec. The token is no field of its own: a review that is printed does not show it. */
export interface TokenReview {
  /** The opaque bearer token. Never print it. */
  readonly token: string;
  /** The audiences for which the token must be good. Empty: those of the API server. */
  readonly audiences: string[];
}

/** The answer of `authenticate`: made by {@link authenticated}, {@link unknown} or {@link rejected}. */
export interface Authentication {
  readonly tag: "authenticated" | "unknown" | "rejected";
}

/**
 * The token is good. `audiences` are those of the asked ones for which it is; left out, the policy does not know audiences,
 * which makes the token good for the API server's own only.
 */
export function authenticated(
  user: { username: string; uid?: string; groups?: string[]; extra?: Record<string, string[]> },
  options?: { audiences?: string[] },
): Authentication;

/** Not a token that this policy knows: the next authenticator is asked. */
export function unknown(): Authentication;

/** A token of this policy's, and no good (expired, revoked): nobody else is asked. The reason is for the log. */
export function rejected(reason: string): Authentication;

// Authorization

/** authorization.k8s.io/v1 SubjectAccessReviewSpec. It asks about either a resource or a path. */
export type SubjectAccessReview =
  | { readonly user: UserInfo; readonly resourceAttributes: ResourceAttributes; readonly nonResourceAttributes: undefined }
  | { readonly user: UserInfo; readonly resourceAttributes: undefined; readonly nonResourceAttributes: NonResourceAttributes };

/** What is asked about a resource. An empty string means "not given". */
export interface ResourceAttributes {
  /** get, list, watch, create, update, patch, delete, deletecollection, or a special one such as `impersonate`; `*` means all. */
  readonly verb: string;
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  /** In the plural, for example `pods`. */
  readonly resource: string;
  /** For example `log` of `pods/log`. */
  readonly subresource: string;
  /** Empty for cluster-scoped resources, and for "all namespaces". */
  readonly namespace: string;
  /** Empty for "all names". */
  readonly name: string;
  /** Narrows a list, watch or deletecollection. A policy may ignore it, since it only narrows. */
  readonly fieldSelector: SelectorRequirement[];
  /** As `fieldSelector`, over labels. */
  readonly labelSelector: SelectorRequirement[];
}

/** What is asked about a path that is no resource. */
export interface NonResourceAttributes {
  /** An HTTP method in lower case. */
  readonly verb: string;
  /** For example `/healthz`. */
  readonly path: string;
}

/** One requirement of a selector. */
export interface SelectorRequirement {
  readonly key: string;
  readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
  readonly values: string[];
}

/** The answer of `authorize`: made by {@link ruling}. */
export interface Ruling {
  readonly decision: "allow" | "deny" | "no-opinion";
  readonly reason: string;
}

export const ruling: {
  /** Allowed, because of this. Ends the question. */
  allow(reason?: string): Ruling;
  /** Denied, because of this. Ends the question: nobody else is asked. */
  deny(reason?: string): Ruling;
  /** The next authorizer is asked. */
  noOpinion(reason?: string): Ruling;
};

// Changes of objects

/**
 * One change of one object. Of each object every change comes, in order and at least once: a change may come again, so that
 * whatever is done must be right when it is done twice.
 */
export interface ObjectChange<T = KubernetesObject> {
  /** `ADDED`: it was not seen before. `DELETED`: it is gone, or is none of those any more that were asked for. */
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  /** The object as it is since the change, parsed at first use; of a deleted one, as it was last. Without metadata.managedFields. */
  readonly object: T;
  /** As it was before, as far as that is known. `undefined` for one that is added. */
  readonly oldObject: T | undefined;
  /** The object as JSON: numbers beyond 2^53 are exact here. */
  readonly objectJson: string;
  /** The object as it was before, as JSON. */
  readonly oldObjectJson: string | undefined;
  /**
   * It may not have changed just now: it was there when the server began to look, or what happened meanwhile was lost, or the
   * time of an `againAfter` is over.
   */
  readonly replayed: boolean;
  /** The name of the object that changed; throws where it has none. */
  readonly key: Required<ObjectKey>;
}

/** Names an object. */
export interface ObjectKey {
  /** For example `apps/v1`; of the core group `v1`. */
  apiVersion: string;
  /** For example `Deployment`. */
  kind: string;
  /** Left out, or empty, for cluster-scoped objects. */
  namespace?: string;
  name: string;
}

/**
 * One thing to do, made by {@link action} or written as it is. The server does it with the rights of the service account that the
 * operator granted; what concerns RBAC, webhook configurations, API services, custom resource definitions or `verdict.dev` it
 * refuses. At most 64 for a change; where one fails, those after it are not done, and the change comes again later.
 */
export type Action =
  | { againAfter: number }
  | { event: { type?: "Normal" | "Warning"; reason: string; note?: string } }
  | { apply: KubernetesObject }
  | { patch: ObjectPatch }
  | { delete: ObjectKey };

/** A patch of an object that is there. */
export type ObjectPatch = ObjectKey & { subresource?: "" | "status" } & (
    | { type: "MergePatch"; patch: object }
    | { type: "JsonPatch"; patch: JsonPatchOperation[] }
  );

export const action: {
  /**
   * The same object is to be handled again after so many seconds, unless it changes before: as `MODIFIED` and `replayed`, as it is then.
   * In whole seconds, rounded up, from one to a day: who waits longer is asked earlier, and asks for the rest.
   */
  againAfter(seconds: number): Action;
  /** An Event about the object that changed. The reason is one word, for example `ConfigMapWritten`; the note is for people, at most 1024 bytes. */
  event(reason: string, note: string): Action;
  /** As `event`, of type Warning: something is wrong. */
  warning(reason: string, note: string): Action;
  /**
   * Server-side apply of an object, with apiVersion, kind and metadata.name: its fields become as they are here, those that were here
   * before and are not any more are removed, and all others stay.
   */
  apply(object: KubernetesObject): Action;
  /** A JSON Merge Patch (RFC 7386) of an object that is there: what is named is set, `null` removes. */
  mergePatch(key: ObjectKey, patch: object): Action;
  /** As `mergePatch`, of the subresource `status`: `{ status: {...} }`. Only where it differs: a policy that writes what it is told of is asked again. */
  mergePatchStatus(key: ObjectKey, patch: object): Action;
  /** A JSON Patch (RFC 6902) of an object that is there. */
  jsonPatch(key: ObjectKey, operations: JsonPatchOperation[]): Action;
  /** As `jsonPatch`, of the subresource `status`. */
  jsonPatchStatus(key: ObjectKey, operations: JsonPatchOperation[]): Action;
  /** Deletes an object. One that is not there is no error. */
  delete(key: ObjectKey): Action;
};

// Settings

/** One thing that is wrong with the settings. Thrown from `init`, alone or several in an `AggregateError`. */
export class SettingsError extends Error {
  /**
   * @param path a JSON Pointer into the settings, for example `/labels/0`; empty for the whole
   * @param message what was expected and what came, for the operator who wrote the settings
   */
  constructor(path: string, message: string);
  readonly path: string;
  /** Throws all of them at once, unless there are none. */
  static throwIfAny(errors: SettingsError[]): void;
}

// The server

/** Writes to the server's log, under the policy's name. Capped per review. `console.log` and its like do the same. */
export const log: Record<"trace" | "debug" | "info" | "warn" | "error", (message: string) => void>;

/** A fact about this review worth keeping: a structured line in the server's log. For the audit log of the API server, annotate the answer. */
export function audit(key: string, value: string): void;

/** The review as it came (needs `review` among the imports of verdict.yaml), parsed, in the version the caller sent; for `handleEvent` the event, for `handleChange` the change. `undefined` in `init` and `cleanup`. */
export function rawReview(): any;

/** As {@link rawReview}, as text. Empty in `init` and `cleanup`. */
export function rawReviewText(): string;

/** An environment variable that the operator granted; verdict.yaml names it among its grants. */
export function env(name: string): string | undefined;

/** The SHA-256 of a text (as UTF-8) or of bytes, in lower-case hexadecimal. */
export function sha256(data: string | Uint8Array): string;
