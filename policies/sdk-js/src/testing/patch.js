// A change applied to an object, so that tests can look at the result. The server applies it to the text, with all numbers
// as they are written.

export function apply(object, kind, change) {
  if (kind === "full") return change;
  if (kind === "merge-patch") return merge(object, change);
  return change.reduce(applyOne, { root: structuredClone(object) }).root;
}

function applyOne(holder, { op, path, from, value }) {
  const [parent, key] = locate(holder, path);
  switch (op) {
    case "add":
      put(parent, key, structuredClone(value));
      break;
    case "replace":
      expectThere(parent, key, path);
      parent[key] = structuredClone(value);
      break;
    case "remove":
      take(parent, key, path);
      break;
    case "copy":
      put(parent, key, structuredClone(peek(holder, from)));
      break;
    case "move":
      put(...locateAfter(holder, from, path));
      break;
    case "test":
      if (JSON.stringify(parent[key]) !== JSON.stringify(value)) throw new Error(`the test of ${path} fails`);
      break;
    default:
      throw new Error(`${op} is no operation of a JSON Patch`);
  }
  return holder;
}

function locateAfter(holder, from, path) {
  const [parent, key] = locate(holder, from);
  const value = take(parent, key, from);
  return [...locate(holder, path), value];
}

function locate(holder, pointer) {
  const tokens = pointer.split("/").slice(1).map((it) => it.replaceAll("~1", "/").replaceAll("~0", "~"));
  let [parent, key] = [holder, "root"];
  for (const token of tokens) {
    parent = parent[key];
    if (typeof parent !== "object" || parent === null) throw new Error(`the patch does not apply: nothing is above ${pointer}`);
    key = Array.isArray(parent) && token === "-" ? parent.length : token;
  }
  return [parent, key];
}

function peek(holder, pointer) {
  const [parent, key] = locate(holder, pointer);
  expectThere(parent, key, pointer);
  return parent[key];
}

function put(parent, key, value) {
  if (!Array.isArray(parent)) parent[key] = value;
  else if (Number(key) <= parent.length) parent.splice(Number(key), 0, value);
  else throw new Error(`the patch does not apply: the list has no place ${key}`);
}

function take(parent, key, pointer) {
  expectThere(parent, key, pointer);
  const value = parent[key];
  if (Array.isArray(parent)) parent.splice(Number(key), 1);
  else delete parent[key];
  return value;
}

function expectThere(parent, key, pointer) {
  if (!Object.hasOwn(parent, key)) throw new Error(`the patch does not apply: nothing is at ${pointer}`);
}

function merge(target, patch) {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const merged = typeof target === "object" && target !== null && !Array.isArray(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key];
    else merged[key] = merge(merged[key], value);
  }
  return merged;
}
