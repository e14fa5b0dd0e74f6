// Changes of objects of a cluster, and what is to be done about them: plain objects in the form in which the server writes them.

import { toJson } from "./json.js";

class ObjectChange {
  #cache = new Map();

  constructor(record) {
    this.type = record.type.toUpperCase();
    this.replayed = record.replayed;
    this.objectJson = record.object;
    this.oldObjectJson = record.oldObject ?? undefined;
  }

  get object() {
    return this.#parsed("objectJson");
  }

  get oldObject() {
    return this.#parsed("oldObjectJson");
  }

  get key() {
    return keyOf(this.object, "object");
  }

  #parsed(source) {
    const text = this[source];
    if (text !== undefined && !this.#cache.has(source)) this.#cache.set(source, JSON.parse(text));
    return this.#cache.get(source);
  }
}

export const toObjectChange = (record) => new ObjectChange(record);

const patch = (type, subresource) => (key, patch) => ({
  patch: { ...key, type, ...(subresource === "" ? {} : { subresource }), patch },
});

export const action = {
  againAfter(seconds) {
    if (typeof seconds !== "number" || Number.isNaN(seconds)) {
      throw new TypeError(`action.againAfter: expected a number of seconds, got ${Number.isNaN(seconds) ? "NaN" : typeof seconds}`);
    }
    return { againAfter: Math.min(Math.max(Math.ceil(seconds), 1), LONGEST) };
  },
  event: (reason, note) => ({ event: { type: "Normal", reason, note } }),
  warning: (reason, note) => ({ event: { type: "Warning", reason, note } }),
  apply: (object) => ({ apply: object }),
  mergePatch: patch("MergePatch", ""),
  mergePatchStatus: patch("MergePatch", "status"),
  jsonPatch: patch("JsonPatch", ""),
  jsonPatchStatus: patch("JsonPatch", "status"),
  delete: (key) => ({ delete: key }),
};

/** The records of the contract of what `handleChange` returned, a list. */
export function toActions(actions) {
  if (actions.length > MOST) throw new RangeError(`handleChange: ${actions.length} actions are more than the ${MOST} that a change may have`);
  // Not map, which leaves out what was never set.
  return Array.from(actions, (it, at) => toAction(it, `handleChange: action ${at}`));
}

function toAction(action, place) {
  const names = isObject(action) ? Object.keys(action).filter((name) => action[name] !== undefined) : [];
  const [name] = names;
  if (names.length !== 1 || !Object.hasOwn(ACTIONS, name)) {
    const got = isObject(action) ? `{${names.join(", ")}}` : kind(action);
    throw new TypeError(`${place}: expected an object with exactly one of ${Object.keys(ACTIONS).join(", ")}, got ${got}`);
  }
  return ACTIONS[name](action[name], `${place}: ${name}`);
}

const ACTIONS = {
  againAfter(seconds, place) {
    if (Number.isInteger(seconds) && seconds >= 1 && seconds <= LONGEST) return { tag: "again-after", val: seconds };
    const got = typeof seconds === "number" ? seconds : kind(seconds);
    throw new RangeError(`${place}: expected from 1 to ${LONGEST} seconds, got ${got}`);
  },
  event(event, place) {
    fields(event, ["type", "reason", "note"], place);
    const { type = "Normal", note = "" } = event;
    const reason = text(event, "reason", place);
    if (!/^[A-Za-z0-9]{1,128}$/.test(reason)) {
      throw new TypeError(`${place}.reason: expected a word of at most 128 letters and digits, got ${JSON.stringify(reason.slice(0, 100))}`);
    }
    return { tag: "event", val: { type: word(type, EVENT_TYPES, `${place}.type`), reason, note: text({ note }, "note", place) } };
  },
  apply(object, place) {
    keyOf(object, place);
    return { tag: "apply", val: toJson(object, place) };
  },
  patch(given, place) {
    fields(given, [...KEY, "type", "patch", "subresource"], place);
    const type = word(given.type, PATCH_TYPES, `${place}.type`);
    const fits = type === "json-patch" ? Array.isArray(given.patch) : isObject(given.patch);
    if (!fits) {
      const expected = type === "json-patch" ? "a list of operations" : "an object";
      throw new TypeError(`${place}.patch: expected ${expected}, got ${kind(given.patch)}`);
    }
    const { subresource = "" } = given;
    if (!["", "status"].includes(subresource)) throw new TypeError(`${place}.subresource: expected "status", or none`);
    return { tag: "patch", val: { key: toKey(given, place), type, patch: toJson(given.patch, `${place}.patch`), subresource } };
  },
  delete(key, place) {
    fields(key, KEY, place);
    return { tag: "delete", val: toKey(key, place) };
  },
};

/** The name of an object as a manifest has it. */
function keyOf(object, place) {
  if (!isObject(object)) throw new TypeError(`${place}: expected an object, got ${kind(object)}`);
  if (!isObject(object.metadata)) throw new TypeError(`${place}.metadata: expected an object, got ${kind(object.metadata)}`);
  return { ...type(object, place), ...name(object.metadata, `${place}.metadata`) };
}

const toKey = (given, place) => ({ ...type(given, place), ...name(given, place) });

const type = (given, place) => ({ apiVersion: text(given, "apiVersion", place), kind: text(given, "kind", place) });

function name(given, place) {
  const name = text(given, "name", place);
  if (name === "") throw new TypeError(`${place}.name: expected a name, got an empty one`);
  return { namespace: text({ namespace: given.namespace ?? "" }, "namespace", place), name };
}

function text(given, name, place) {
  const value = given[name];
  if (typeof value !== "string") throw new TypeError(`${place}.${name}: expected a text, got ${kind(value)}`);
  return value;
}

function fields(given, known, place) {
  if (!isObject(given)) throw new TypeError(`${place}: expected an object, got ${kind(given)}`);
  const unknown = Object.keys(given).find((name) => !known.includes(name));
  if (unknown !== undefined) throw new TypeError(`${place}.${unknown}: unknown field; expected ${known.join(", ")}`);
}

function word(value, words, place) {
  if (typeof value === "string" && Object.hasOwn(words, value)) return words[value];
  throw new TypeError(`${place}: expected ${Object.keys(words).join(" or ")}, got ${typeof value === "string" ? JSON.stringify(value.slice(0, 100)) : kind(value)}`);
}

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** Never the value itself, which may be secret. */
const kind = (value) => (value === undefined ? "nothing" : value === null ? "null" : Array.isArray(value) ? "a list" : `a value of type ${typeof value}`);

const KEY = ["apiVersion", "kind", "namespace", "name"];
const EVENT_TYPES = { Normal: "normal", Warning: "warning" };
const PATCH_TYPES = { JsonPatch: "json-patch", MergePatch: "merge-patch" };
/** Of one change. */
const MOST = 64;
/** Seconds. */
const LONGEST = 86_400;
