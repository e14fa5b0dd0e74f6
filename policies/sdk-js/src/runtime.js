// What policies expect of a JavaScript runtime and QuickJS leaves out, or would answer from the moment of the build.
// Imported first, before any code of the policy runs. Never used in Node.

import { called, early, host } from "./host.js";

const random = () => called("random", "guest-runtime")();

// While the policy is built there is no server: what is printed goes to its author.
const building = () => host.random === undefined;
const { verdictOutput: output } = globalThis;
delete globalThis.verdictOutput;

function tell(text) {
  const bytes = new TextEncoder().encode(`${text}\n`);
  // The engine takes a number for a word of eight bytes, and a number holds six.
  for (let at = 0; at < bytes.length; at += 6) {
    const part = bytes.subarray(at, at + 6);
    output?.(2, part.reduceRight((word, byte) => word * 256 + byte, 0), part.length);
  }
}

/** Where the caller of the caller stands, as the engine calls it; `verdict build` makes a file and a line of it. */
const place = () => /\(?(componentize-qjs:user\.js:\d+)/.exec(new Error().stack.split("\n")[3])?.[1] ?? "a module";

// The same sources make the same component, so these are drawn from a row that is always the same.
let drawn = 0;
function drawnAtBuild() {
  tell(`${place()}: Math.random() at the top level of a module is drawn when the policy is built: the same number in every review`);
  drawn = (Math.imul(drawn, 1664525) + 1013904223) >>> 0;
  return drawn / 2 ** 32;
}

// QuickJS seeds its own once, and a component starts from the memory of its build.
Math.random = () => (building() ? drawnAtBuild() : Math.floor(random() / 2 ** 11) / 2 ** 53);

// QuickJS knows no time zone and would answer for another one without a word.
for (const name of ["toLocaleString", "toLocaleDateString", "toLocaleTimeString"]) {
  const own = Date.prototype[name];
  Date.prototype[name] = function (locales, options) {
    const zone = options?.timeZone;
    if (zone !== undefined && !/^(UTC|Etc\/UTC|GMT)$/i.test(zone)) {
      throw new RangeError(`${name}: there are no time zones here but UTC, not ${zone}: see "No Intl" in .verdict/sdk/js/README.md`);
    }
    return own.call(this, locales, options);
  };
}

const format = (values) =>
  values.map((it) => (typeof it === "string" ? it : it instanceof Error ? `${it}` : (json(it) ?? String(it)))).join(" ");

function json(value) {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

// What is printed at the build is repeated in `init`, for whoever runs the policy; all of it only where the log is imported.
const printing = (level) => (...values) => {
  const text = format(values);
  if (building()) {
    early.push([level, text]);
    tell(text);
  } else {
    host.log?.(level, text);
  }
};

globalThis.console ??= {
  trace: printing("trace"),
  debug: printing("debug"),
  log: printing("info"),
  info: printing("info"),
  warn: printing("warn"),
  error: printing("error"),
};

globalThis.TextEncoder ??= class TextEncoder {
  encoding = "utf-8";

  encode(text = "") {
    // Escapes of %XX are bytes of UTF-8; a lone surrogate becomes U+FFFD.
    const escaped = encodeURIComponent(String(text).toWellFormed());
    const bytes = escaped.match(/%..|[^%]/gs) ?? [];
    return Uint8Array.from(bytes, (it) => (it.length === 3 ? Number.parseInt(it.slice(1), 16) : it.charCodeAt(0)));
  }
};

globalThis.TextDecoder ??= class TextDecoder {
  encoding = "utf-8";

  constructor(label = "utf-8") {
    if (!/^utf-?8$/i.test(label)) throw new RangeError(`TextDecoder: only UTF-8 is known here, not ${label}`);
  }

  decode(bytes = new Uint8Array()) {
    const view = ArrayBuffer.isView(bytes) ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength) : new Uint8Array(bytes);
    let text = "";
    for (let at = 0; at < view.length; ) {
      const { point, length } = codePoint(view, at);
      text += String.fromCodePoint(point);
      at += length;
    }
    return text.replace(/^\uFEFF/, "");
  }
};

/** One character of UTF-8; what is none is U+FFFD. */
function codePoint(bytes, at) {
  const first = bytes[at];
  if (first < 0x80) return { point: first, length: 1 };
  const more = first >= 0xf0 && first < 0xf5 ? 3 : first >= 0xe0 && first < 0xf0 ? 2 : first >= 0xc2 && first < 0xe0 ? 1 : 0;
  let point = first & (0x3f >> more);
  for (let index = 1; index <= more; index++) {
    if ((bytes[at + index] & 0xc0) !== 0x80) return { point: 0xfffd, length: index };
    point = (point << 6) | (bytes[at + index] & 0x3f);
  }
  const bad = more === 0 || point < [0, 0x80, 0x800, 0x10000][more] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000);
  return bad ? { point: 0xfffd, length: 1 } : { point, length: more + 1 };
}

const getRandomValues = (array) => {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  // Of the 64 bits of a number, a double has the upper 53.
  for (let index = 0; index < bytes.length; index++) bytes[index] = Math.floor(random() / 2 ** 56) & 0xff;
  return array;
};

globalThis.crypto ??= {
  getRandomValues,
  randomUUID() {
    const bytes = getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = Array.from(bytes, (it) => it.toString(16).padStart(2, "0")).join("");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  },
};
