// Policies in plain `node --test`: whole reviews in, answers out, through the same code as in the server.

import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import * as guest from "./src/guest.js";
import { apply } from "./src/testing/patch.js";
import { access, admission, change, token } from "./src/testing/wire.js";

const state = { logged: [], audited: [], review: "", environment: {} };

guest.connect({
  log: (level, message) => state.logged.push({ level, message }),
  audit: (key, value) => state.audited.push({ key, value }),
  review: () => state.review,
  environment: () => Object.entries(state.environment),
  random: () => Math.random() * 2 ** 64,
});

export function load(policy, settings = {}, { env = {} } = {}) {
  state.environment = env;
  state.review = "";
  try {
    guest.lifecycle(policy).init(JSON.stringify(settings));
  } catch (errors) {
    const lines = errors.map(({ path, message }) => `${path === "" ? "the settings" : path}: ${message}`);
    throw new Error(`the settings are refused: ${lines.join("; ")}`);
  }
  return new Subject(policy);
}

export function settingsErrors(policy, settings) {
  state.review = "";
  try {
    guest.lifecycle(policy).init(JSON.stringify(settings));
  } catch (errors) {
    return errors;
  }
  throw new Error(`the settings were taken: ${JSON.stringify(settings)}`);
}

export const takeLogged = () => state.logged.splice(0);
export const takeAudited = () => state.audited.splice(0);

export function readReviews(folder) {
  const path = folder instanceof URL ? fileURLToPath(folder) : folder;
  const files = readdirSync(path).filter((it) => it.endsWith(".json")).sort();
  if (files.length === 0) throw new Error(`no sample reviews in ${path}`);
  return files.map((file) => ({ name: file.slice(0, -5), review: readFileSync(join(path, file), "utf8") }));
}

export { admissionReview } from "./src/testing/wire.js";

class Subject {
  #policy;

  constructor(policy) {
    this.#policy = policy;
  }

  validate(review) {
    const answer = this.#ask("validate", guest.validating, review, admission);
    const { tag, val } = answer.outcome;
    return { verdict: tag, ...admissionAnswer(answer, tag === "denied" ? val : null) };
  }

  mutate(review) {
    const answer = this.#ask("mutate", guest.mutating, review, admission);
    const { tag, val } = answer.outcome;
    if (tag === "denied") return { verdict: "denied", ...admissionAnswer(answer, val) };
    const allowed = { verdict: val.tag === "unchanged" ? "unchanged" : "changed", ...admissionAnswer(answer, null) };
    const object = admission(state.review).object;
    if (val.tag === "unchanged") return { ...allowed, object: object && JSON.parse(object) };
    return { ...allowed, patch: val.val, object: apply(JSON.parse(object), val.tag, JSON.parse(val.val)) };
  }

  authenticate(review) {
    const { tag, val } = this.#ask("authenticate", guest.authentication, review, token);
    if (tag === "unknown") return { verdict: tag };
    if (tag === "rejected") return { verdict: tag, reason: val };
    const extra = Object.fromEntries(val.user.extra.map(({ key, values }) => [key, values]));
    return { verdict: tag, user: { ...val.user, extra }, audiences: val.audiences };
  }

  authorize(review) {
    const { decision, reason } = this.#ask("authorize", guest.authorization, review, access);
    return { verdict: decision, reason };
  }

  handleEvent(event) {
    return JSON.parse(this.#ask("handleEvent", guest.provider, event, (text) => text));
  }

  handleChange(given) {
    const actions = this.#ask("handleChange", guest.changes, given, change, "handle");
    return actions.map(written);
  }

  cleanup() {
    if (this.#policy.cleanup !== undefined) guest.cleanup(this.#policy).cleanup();
  }

  verdict(review) {
    const text = toText(review);
    const kind = JSON.parse(text).kind;
    try {
      if (kind === "TokenReview") return this.authenticate(text).verdict;
      if (kind === "SubjectAccessReview") return this.authorize(text).verdict;
      if (kind === "AdmissionReview") return (this.#policy.mutate ? this.mutate(text) : this.validate(text)).verdict;
      if (this.#policy.handleEvent === undefined && this.#policy.handleChange !== undefined) this.handleChange(text);
      else this.handleEvent(text);
      return "answered";
    } catch (error) {
      if (error instanceof PolicyError) return "error";
      throw error;
    }
  }

  checkReviews(folder) {
    for (const { name, review } of readReviews(folder)) {
      const verdict = this.verdict(review);
      const words = verdict === "changed" ? ["changed", "mutated"] : [verdict];
      if (!words.some((it) => name === it || name.startsWith(`${it}-`))) throw new Error(`${name} gave ${verdict}`);
    }
  }

  #ask(name, interfaceOf, review, wire, called = name) {
    if (typeof this.#policy[name] !== "function") throw new Error(`the policy does not export ${name}`);
    state.review = toText(review);
    const record = wire(state.review);
    try {
      return interfaceOf(this.#policy)[called](record);
    } catch (thrown) {
      throw new PolicyError(String(thrown));
    }
  }
}

/** The policy could not decide. */
export class PolicyError extends Error {
  name = "PolicyError";
}

const admissionAnswer = ({ warnings, auditAnnotations }, denial) => ({
  ...(denial === null ? {} : { denial: given(denial) }),
  warnings,
  annotations: Object.fromEntries(auditAnnotations.map(({ key, value }) => [key, value])),
});

/** An action as the server writes it, and as `answer` in the cases of `verdict test` has it. */
function written({ tag, val }) {
  const named = ({ namespace, ...key }) => (namespace === "" ? key : { apiVersion: key.apiVersion, kind: key.kind, namespace, name: key.name });
  switch (tag) {
    case "again-after":
      return { againAfter: val };
    case "event":
      return { event: { ...val, type: val.type === "warning" ? "Warning" : "Normal" } };
    case "apply":
      return { apply: JSON.parse(val) };
    case "patch": {
      const type = val.type === "json-patch" ? "JsonPatch" : "MergePatch";
      const subresource = val.subresource === "" ? {} : { subresource: val.subresource };
      return { patch: { ...named(val.key), type, ...subresource, patch: JSON.parse(val.patch) } };
    }
    default:
      return { delete: named(val) };
  }
}

/** Without what was not given. */
const given = (denial) => Object.fromEntries(Object.entries(denial).filter(([, value]) => value !== null));

function toText(review) {
  if (review instanceof URL) return readFileSync(review, "utf8");
  return typeof review === "string" ? review : JSON.stringify(review);
}
