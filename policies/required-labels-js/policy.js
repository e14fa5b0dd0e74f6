// @ts-check
// Requires labels and annotations, each with any value or one that matches a regular expression. The same as
// ../required-labels, in JavaScript.

import { SettingsError, allow, cause, deny, fieldPath, pointer } from "verdict-policy-sdk";

/** @typedef {{ key: string, pattern?: RegExp }} Required */

/** @type {{ labels: Required[], annotations: Required[] }} */
let active = { labels: [], annotations: [] };

/** @param {Record<string, any>} settings */
export function init({ labels = [], annotations = [], ...others }) {
  /** @type {SettingsError[]} */
  const errors = Object.keys(others).map(
    (name) => new SettingsError(pointer(name), `unknown field \`${name}\`, expected \`labels\` or \`annotations\``),
  );
  active = { labels: required("labels", labels, errors), annotations: required("annotations", annotations, errors) };
  if (errors.length === 0 && active.labels.length === 0 && active.annotations.length === 0) {
    errors.push(new SettingsError("", "expected at least one of labels and annotations"));
  }
  SettingsError.throwIfAny(errors);
}

/**
 * @param {string} name
 * @param {unknown} entries
 * @param {SettingsError[]} errors
 * @returns {Required[]}
 */
function required(name, entries, errors) {
  if (!Array.isArray(entries)) {
    errors.push(new SettingsError(pointer(name), "expected a list"));
    return [];
  }
  const seen = new Set();
  return entries.map((entry, index) => {
    const wrong = (/** @type {string} */ message, /** @type {string[]} */ ...below) =>
      errors.push(new SettingsError(pointer(name, index, ...below), message));
    const { key, pattern, ...others } = typeof entry === "string" ? { key: entry } : (entry ?? {});
    if (typeof entry !== "string" && (typeof entry !== "object" || entry === null || Array.isArray(entry))) {
      wrong("expected a key, or {key, pattern}");
    } else if (typeof key !== "string") {
      wrong("expected a string", "key");
    } else if (key === "") {
      wrong("expected a key, got an empty one");
    }
    for (const other of Object.keys(others)) wrong(`unknown field \`${other}\`, expected \`key\` or \`pattern\``, other);
    if (seen.has(key)) wrong(`the key ${key} is listed twice`);
    seen.add(key);
    try {
      return { key, pattern: pattern === undefined || pattern === null ? undefined : new RegExp(pattern) };
    } catch (error) {
      wrong(`expected a regular expression: ${error}`, "pattern");
      return { key };
    }
  });
}

/** @param {import("verdict-policy-sdk").AdmissionRequest} request */
export function validate(request) {
  const { object, operation, subresource } = request;
  // A delete has no object, and what a subresource is sent with (a Scale, a Binding) has labels of its own.
  if (object === undefined || subresource !== "") return allow();
  const { deletionTimestamp, labels, annotations } = object.metadata ?? {};
  // What is going away only loses its finalizers, and must be able to.
  if (operation === "UPDATE" && deletionTimestamp) return allow();
  const causes = [...missing("label", active.labels, labels), ...missing("annotation", active.annotations, annotations)];
  return causes.length === 0 ? allow() : deny(causes.map((it) => it.message).join("; "), { causes });
}

/**
 * @param {string} name
 * @param {Required[]} required
 * @param {Record<string, string> | null | undefined} found
 */
function* missing(name, required, found) {
  const fields = fieldPath("metadata", `${name}s`);
  for (const { key, pattern } of required) {
    // A key with dots or a slash would read as a path.
    const field = /[./]/.test(key) ? fields.key(key) : fields.field(key);
    const value = found && Object.hasOwn(found, key) ? found[key] : undefined;
    if (value === undefined) {
      yield cause(field, "FieldValueRequired", `the ${name} ${key} is required`);
    } else if (pattern && !pattern.test(value)) {
      yield cause(field, "FieldValueInvalid", `the ${name} ${key} must match ${pattern.source}, got ${JSON.stringify(value)}`);
    }
  }
}
