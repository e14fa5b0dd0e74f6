// A component as a function that makes instances of it. jco turns the component's own adapters into JavaScript; its core
// modules run in the JavaScript engine as they are.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { transpileBytes } from "@bytecodealliance/jco-transpile";

export async function load(component) {
  const { files } = await transpileBytes(component, {
    name: "policy",
    instantiation: "async",
    emitTypescriptDeclarations: false,
    // Errors of a policy are thrown as they are.
    noComponentErrorWrapping: true,
  });
  const text = (name) => Object.entries(files).find(([path]) => path.endsWith(name))[1];
  const folder = await mkdtemp(join(tmpdir(), "js-host-"));
  try {
    const path = join(folder, "policy.mjs");
    await writeFile(path, text("policy.js"));
    const { instantiate } = await import(pathToFileURL(path));
    const modules = new Map();
    const core = async (name) => {
      if (!modules.has(name)) modules.set(name, await WebAssembly.compile(text(name)));
      return modules.get(name);
    };
    return (imports) => instantiate(core, imports);
  } finally {
    await rm(folder, { recursive: true });
  }
}
