// Takes the types out of TypeScript before Node runs it, as `verdict build` does: with the author's own esbuild.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const esbuild = createRequire(`${process.cwd()}/`)("esbuild");

/** `./policy.js` is `policy.ts` where only that is there, as in TypeScript. */
export async function resolve(specifier, context, next) {
  try {
    return await next(specifier, context);
  } catch (error) {
    if (error.code !== "ERR_MODULE_NOT_FOUND" || !/^\.{1,2}\/.*\.m?js$/.test(specifier)) throw error;
    return next(specifier.replace(/js$/, "ts"), context);
  }
}

export async function load(url, context, next) {
  if (!/^file:.*\.m?ts$/.test(url)) return next(url, context);
  const sourcefile = fileURLToPath(url);
  const { code } = esbuild.transformSync(readFileSync(sourcefile, "utf8"), {
    loader: "ts",
    format: "esm",
    target: "es2023",
    sourcefile,
    sourcemap: "inline",
  });
  return { format: "module", shortCircuit: true, source: code };
}
