// A host in JavaScript: runs a component of Verdict's contract, unchanged, on sample reviews, and compares each verdict with
// the name of its file.
//
//   node host.js COMPONENT.wasm REVIEWS [SETTINGS]
//
// Exits with 1 if any of them differs.

import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";

import { imports, seen } from "./src/imports.js";
import { load } from "./src/load.js";
import { ask } from "./src/reviews.js";

const [component, folder, settings = "{}"] = process.argv.slice(2);
if (folder === undefined) {
  console.error("usage: node host.js COMPONENT.wasm REVIEWS [SETTINGS as JSON]");
  process.exit(2);
}

const instantiate = await load(await readFile(component));
let differing = 0;
for (const file of (await readdir(folder)).filter((it) => it.endsWith(".json")).sort()) {
  const review = await readFile(join(folder, file), "utf8");
  // As in the server: an instance of its own for every review.
  const policy = await instantiate(imports);
  seen.review = "";
  policy.lifecycle.init(settings);
  seen.review = review;
  const { verdict, message } = ask(policy, review);
  const agrees = file === `${verdict}.json` || file.startsWith(`${verdict}-`);
  differing += agrees ? 0 : 1;
  console.log(`${agrees ? "ok  " : "DIFFERS"} ${file}: ${verdict}${message ? `: ${message}` : ""}`);
}
process.exitCode = differing === 0 ? 0 : 1;
