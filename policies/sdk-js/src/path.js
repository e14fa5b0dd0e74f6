// Paths of fields as Kubernetes writes them in causes, and JSON Pointers.

export class FieldPath {
  #text;

  constructor(text) {
    this.#text = text;
  }

  field(name) {
    return new FieldPath(this.#text === "" ? name : `${this.#text}.${name}`);
  }

  index(index) {
    return new FieldPath(`${this.#text}[${index}]`);
  }

  key(key) {
    return new FieldPath(`${this.#text}[${key}]`);
  }

  toString() {
    return this.#text;
  }

  toJSON() {
    return this.#text;
  }
}

export const fieldPath = (...segments) =>
  segments.reduce((path, it) => (typeof it === "number" ? path.index(it) : path.field(it)), new FieldPath(""));

export const pointer = (...segments) => segments.map(token).join("");

export const token = (segment) => `/${String(segment).replaceAll("~", "~0").replaceAll("/", "~1")}`;
