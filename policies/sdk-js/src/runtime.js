// What policies expect of a JavaScript runtime and QuickJS leaves out, or would answer from the moment of the build.
// Imported first, before any code of the policy runs. Never used in Node.

import { called, host } from "./host.js";

// QuickJS seeds its own once, and a component starts from the memory of its build.
const random = () => called("random", "guest-runtime")();
Math.random = () => Math.floor(random() / 2 ** 11) / 2 ** 53;

const format = (values) =>
  values.map((it) => (typeof it === "string" ? it : it instanceof Error ? `${it}` : (json(it) ?? String(it)))).join(" ");

function json(value) {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

// At the build nobody listens, and that is said; later only where the log is imported.
const printing = (level) => (...values) => {
  if (host.log !== undefined || host.random === undefined) called("log", "log")(level, format(values));
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
