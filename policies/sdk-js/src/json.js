// JSON whose numbers keep their spelling. JavaScript knows only doubles: 12345678901234567890, 1.0 and 1e400 would come
// back as other text, or as nothing. So each container that was read remembers how its numbers were written.

/** The spelling of numbers that JavaScript could take for others or write otherwise, as they came from one text. */
export class Spelling {
  #containers = new Map();
  #inexact = new Map();

  /** A container that was read. */
  open(container) {
    this.#containers.set(container, new Map());
  }

  note(container, key, literal) {
    const value = Number(literal);
    if (Number.isSafeInteger(value) && String(value) === literal) return;
    this.#containers.get(container).set(key, literal);
    if (!Number.isSafeInteger(value) && !this.#inexact.has(value)) this.#inexact.set(value, literal);
  }

  /** How `value`, now at `key` of `container`, was written; undefined where that is not known. */
  of(container, key, value) {
    const spelt = this.#containers.get(container);
    if (!spelt) return undefined;
    const literal = spelt.get(key);
    if (literal !== undefined && Object.is(Number(literal), value)) return literal;
    // Items of arrays move.
    if (Array.isArray(container)) for (const it of spelt.values()) if (Object.is(Number(it), value)) return it;
    return undefined;
  }

  /** As `of`; and a number that no program computes by accident is the one that was read, wherever it was copied to. */
  toWrite(container, key, value) {
    return this.of(container, key, value) ?? this.#inexact.get(value);
  }
}

// A number that may be spelt in another way than JavaScript's, where a value can stand.
const UNUSUAL = /(?:"\s*:|[[,])\s*(?:-?\d+[.eE]|-?\d{16,}|-0[,}\]\s])/;

/** The value of a JSON text, and the spelling of its numbers. */
export function parse(text) {
  // Also checks the syntax, which the reader below relies on.
  const value = JSON.parse(text);
  const spelling = new Spelling();
  return { value: UNUSUAL.test(text) ? new Reader(text, spelling).value() : value, spelling };
}

const NUMBER = /[-+0-9.eE]+/y;

class Reader {
  #at = 0;
  #text;
  #spelling;

  constructor(text, spelling) {
    this.#text = text;
    this.#spelling = spelling;
  }

  value(container, key) {
    switch (this.#next()) {
      case "{":
        return this.#object();
      case "[":
        return this.#array();
      case '"':
        return this.#string();
      case "t":
        this.#at += 4;
        return true;
      case "f":
        this.#at += 5;
        return false;
      case "n":
        this.#at += 4;
        return null;
      default:
        return this.#number(container, key);
    }
  }

  #object() {
    const object = {};
    this.#spelling.open(object);
    this.#at++;
    while (this.#next() !== "}") {
      if (this.#text[this.#at] === ",") this.#at++;
      this.#next();
      const key = this.#string();
      this.#next();
      this.#at++;
      // As JSON.parse does it: also `__proto__` is a key like others.
      Object.defineProperty(object, key, {
        value: this.value(object, key),
        configurable: true,
        enumerable: true,
        writable: true,
      });
    }
    this.#at++;
    return object;
  }

  #array() {
    const array = [];
    this.#spelling.open(array);
    this.#at++;
    while (this.#next() !== "]") {
      if (this.#text[this.#at] === ",") this.#at++;
      array.push(this.value(array, array.length));
    }
    this.#at++;
    return array;
  }

  #string() {
    const start = this.#at;
    let end = this.#text.indexOf('"', start + 1);
    while (escaped(this.#text, end)) end = this.#text.indexOf('"', end + 1);
    this.#at = end + 1;
    const inner = this.#text.slice(start + 1, end);
    return inner.includes("\\") ? JSON.parse(`"${inner}"`) : inner;
  }

  #number(container, key) {
    NUMBER.lastIndex = this.#at;
    const [literal] = NUMBER.exec(this.#text);
    this.#at += literal.length;
    if (container) this.#spelling.note(container, key, literal);
    return Number(literal);
  }

  /** The first character that is no space. */
  #next() {
    while (this.#text.charCodeAt(this.#at) <= 0x20) this.#at++;
    return this.#text[this.#at];
  }
}

function escaped(text, quote) {
  let slashes = 0;
  while (text[quote - 1 - slashes] === "\\") slashes++;
  return slashes % 2 === 1;
}

/** Whether a member of an object exists for JSON. */
export const exists = (value) => value !== undefined && typeof value !== "function" && typeof value !== "symbol";

/** What stands for `value` in JSON: dates and their like say so themselves. */
export const plain = (value, key) => (typeof value?.toJSON === "function" ? value.toJSON(String(key)) : value);

/**
 * A function that writes what is at `key` of `container` as JSON; `path` is what errors call it. What JSON cannot say is an
 * error, except that members without a value are left out.
 */
export function writer(spelling) {
  const open = new Set();
  return function write(container, key, path) {
    const value = plain(container[key], key);
    if (typeof value === "string" || typeof value === "boolean") return JSON.stringify(value);
    if (typeof value === "bigint") return String(value);
    if (typeof value === "number") {
      const literal = spelling.toWrite(container, key, value);
      if (literal === undefined && !Number.isFinite(value)) throw new TypeError(`${path}: JSON has no ${value}`);
      return literal ?? String(value);
    }
    if (value === null || !exists(value)) return "null";
    if (open.has(value)) throw new TypeError(`${path}: contains itself`);
    open.add(value);
    const text = Array.isArray(value)
      ? `[${Array.from(value, (_, index) => write(value, index, `${path}[${index}]`)).join(",")}]`
      : `{${members(value)
          .map((name) => `${JSON.stringify(name)}:${write(value, name, `${path}.${name}`)}`)
          .join(",")}}`;
    open.delete(value);
    return text;
  };
}

/** The names of what JSON keeps of an object. */
export const members = (object) => Object.keys(object).filter((name) => exists(plain(object[name], name)));

/** JSON of one value on its own; `name` is what errors call it. */
export const toJson = (value, name) => writer(new Spelling())({ value }, "value", name);
