// What the functions of a policy return. An answer is made here or it is none: a forgotten `return` must not allow.

export class Admission {
  constructor(denial, change, { warnings = [], annotations = {} } = {}) {
    this.denial = denial;
    this.change = change;
    this.warnings = list(warnings, "warnings").map(String);
    this.annotations = Object.entries(annotations).map(([key, value]) => ({ key, value: String(value) }));
  }
}

export class Authentication {
  constructor(tag, val) {
    this.tag = tag;
    this.val = val;
  }
}

export class Ruling {
  constructor(decision, reason = "") {
    this.decision = decision;
    this.reason = String(reason);
  }
}

export const allow = (options) => new Admission(undefined, undefined, options);
export const unchanged = allow;

export function deny(message, { code, reason = "", causes = [], retryAfter, ...options } = {}) {
  if (typeof message !== "string") throw new TypeError(`deny: expected a message, got ${typeof message}`);
  if (code !== undefined && !(Number.isInteger(code) && code >= 400 && code <= 599)) {
    throw new RangeError(`deny: expected a code from 400 to 599, got ${code}`);
  }
  if (retryAfter !== undefined && !(Number.isInteger(retryAfter) && retryAfter >= 1 && retryAfter <= 60)) {
    throw new RangeError(`deny: expected a retryAfter from 1 to 60 seconds, got ${retryAfter}`);
  }
  const denial = { message, code: code ?? null, reason, causes: list(causes, "causes").map(toCause), retryAfter: retryAfter ?? null };
  return new Admission(denial, undefined, options);
}

export const cause = (field, reason, message) => ({ field: String(field), reason, message });

export const fromCauses = (message, causes, options) =>
  causes.length === 0 ? allow(options) : deny(message, { ...options, causes });

export function authenticated({ username, uid = "", groups = [], extra = {} }, { audiences = [] } = {}) {
  if (typeof username !== "string" || username === "") throw new TypeError("authenticated: the username is empty");
  const user = {
    username,
    uid,
    groups: list(groups, "groups"),
    extra: Object.entries(extra).map(([key, values]) => ({ key, values: list(values, `extra.${key}`) })),
  };
  return new Authentication("authenticated", { user, audiences: list(audiences, "audiences") });
}

export const unknown = () => new Authentication("unknown");
export const rejected = (reason) => new Authentication("rejected", String(reason));

export const ruling = {
  allow: (reason) => new Ruling("allow", reason),
  deny: (reason) => new Ruling("deny", reason),
  noOpinion: (reason) => new Ruling("no-opinion", reason),
};

const toCause = ({ field = "", reason = "", message = "" }) => ({ field: String(field), reason, message });

function list(value, name) {
  if (!Array.isArray(value)) throw new TypeError(`${name}: expected an array, got ${typeof value}`);
  return [...value];
}
