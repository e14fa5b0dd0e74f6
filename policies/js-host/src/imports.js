// What a policy may import: the contract, with nothing of WASI but an empty environment.

import { randomBytes } from "node:crypto";

/** The review that is answered. */
export const seen = { review: "" };

const streams = { 1: process.stdout, 2: process.stderr };

export const imports = {
  "verdict:host/log": { write: (level, message) => console.error(`${level}: ${message}`) },
  "verdict:host/audit-log": { write: (key, value) => console.error(`audit: ${key}=${value}`) },
  "verdict:host/review": { raw: () => seen.review },
  // Types only.
  "verdict:policy/types": {},
  "verdict:admission/admission": {},
  "verdict:guest-runtime/guest-runtime": {
    output(fd, word, length) {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64LE(word);
      streams[fd]?.write(bytes.subarray(0, length));
    },
    wallClock: () => BigInt(Date.now()) * 1_000_000n,
    monotonicClock: () => process.hrtime.bigint(),
    random: () => randomBytes(8).readBigUInt64LE(),
    environmentCount: () => 0,
    environmentBytes: () => 0,
    environmentWord: () => 0n,
    outOfStack() {},
    exit(status) {
      throw new Error(`the policy ended itself with status ${status}`);
    },
  },
  "wasi:cli/environment": { getEnvironment: () => [] },
};
