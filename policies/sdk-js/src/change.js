// What a mutator changes. The author changes a copy of the object as any object of JavaScript; the difference goes to the
// server as a JSON Patch, so that what was not touched, numbers above all, is never written anew.

import { Admission, unchanged } from "./answers.js";
import { members, parse, plain, toJson, writer } from "./json.js";
import { token } from "./path.js";
import { podSpec } from "./request.js";

export function change(request, edit, options) {
  if (request.objectJson === undefined) {
    throw new Error("change: the request has no object, as for DELETE; answer unchanged() where request.object is undefined");
  }
  const [before, after] = [parse(request.objectJson), parse(request.objectJson)];
  const returned = edit(after.value);
  if (typeof returned?.then === "function") throw new TypeError("change: the function must not be async");
  const patch = between(before, after);
  return patch === undefined ? unchanged(options) : new Admission(undefined, { tag: "json-patch", val: patch }, options);
}

export function jsonPatch(operations, options) {
  if (!Array.isArray(operations)) throw new TypeError("jsonPatch: expected an array of operations");
  if (operations.length === 0) return unchanged(options);
  return new Admission(undefined, { tag: "json-patch", val: toJson(operations, "jsonPatch") }, options);
}

export const mergePatch = (patch, options) =>
  new Admission(undefined, { tag: "merge-patch", val: toJson(patch, "mergePatch") }, options);

export const full = (object, options) => new Admission(undefined, { tag: "full", val: toJson(object, "full") }, options);

export function changePodSpec(request, edit, options) {
  if (podSpec(request) === undefined) return unchanged(options);
  return change(request, (object) => edit(podSpec(request, object).spec), options);
}

/** The JSON Patch that makes one parsed text of another; undefined when they are equal. */
export function between(before, after) {
  const difference = new Difference(before.spelling, after.spelling);
  difference.values({ object: before.value }, { object: after.value }, "object", "object", "", "object");
  return difference.operations.length === 0 ? undefined : `[${difference.operations.join(",")}]`;
}

class Difference {
  operations = [];
  #before;
  #after;
  #write;

  constructor(before, after) {
    this.#before = before;
    this.#after = after;
    this.#write = writer(after);
  }

  values(before, after, from, to, pointer, path) {
    if (this.#same(before, after, from, to)) return;
    const [old, now] = [before[from], plain(after[to], to)];
    const arrays = Array.isArray(old) && Array.isArray(now);
    if (arrays) this.#arrays(old, now, pointer, path);
    else if (isObject(old) && isObject(now)) this.#objects(old, now, pointer, path);
    else this.#operation("replace", pointer, this.#write(after, to, path));
  }

  #objects(old, now, pointer, path) {
    const names = members(now);
    const kept = new Set(names);
    for (const name of Object.keys(old)) if (!kept.has(name)) this.#operation("remove", pointer + token(name));
    for (const name of names) {
      const [below, at] = [pointer + token(name), `${path}.${name}`];
      if (Object.hasOwn(old, name)) this.values(old, now, name, name, below, at);
      else this.#operation("add", below, this.#write(now, name, at));
    }
  }

  /** What both share at the ends stays; the rest is changed in place, and then cut or filled up. */
  #arrays(old, now, pointer, path) {
    const shorter = Math.min(old.length, now.length);
    let head = 0;
    while (head < shorter && this.#same(old, now, head, head)) head++;
    let tail = 0;
    while (tail < shorter - head && this.#same(old, now, old.length - 1 - tail, now.length - 1 - tail)) tail++;
    const [oldEnd, end] = [old.length - tail, now.length - tail];
    const both = Math.min(oldEnd, end);
    for (let index = head; index < both; index++) {
      this.values(old, now, index, index, pointer + token(index), `${path}[${index}]`);
    }
    for (let index = oldEnd - 1; index >= both; index--) this.#operation("remove", pointer + token(index));
    for (let index = both; index < end; index++) {
      this.#operation("add", pointer + token(index), this.#write(now, index, `${path}[${index}]`));
    }
  }

  #same(before, after, from, to) {
    const [old, now] = [before[from], plain(after[to], to)];
    if (typeof old === "number" && typeof now === "number") {
      if (!Object.is(old, now)) return false;
      const spelt = this.#after.of(after, to, now);
      return spelt === undefined || spelt === (this.#before.of(before, from, old) ?? String(old));
    }
    if (Array.isArray(old)) {
      return (
        Array.isArray(now) && old.length === now.length && old.every((_, index) => this.#same(old, now, index, index))
      );
    }
    if (isObject(old)) {
      if (!isObject(now)) return false;
      const names = members(now);
      return (
        names.length === Object.keys(old).length &&
        names.every((name) => Object.hasOwn(old, name) && this.#same(old, now, name, name))
      );
    }
    return old === now;
  }

  #operation(op, pointer, value) {
    const rest = value === undefined ? "" : `,"value":${value}`;
    this.operations.push(`{"op":"${op}","path":${JSON.stringify(pointer)}${rest}}`);
  }
}

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
