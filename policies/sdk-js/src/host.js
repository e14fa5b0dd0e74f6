// What a policy may call while it runs. In the server these are imports of the component, in `node --test` the testing
// module records them. Each import has a file of its own in `imports`, by which `verdict build` sees what a policy calls.

/** The server's functions; without an import of it there is none. */
export const host = {};

/** What was printed before there was a server: levels and texts. */
export const early = [];

let connected = false;

/** Puts real functions behind the imports. Not for policies. */
export function connect(functions) {
  Object.assign(host, functions);
  connected = true;
  for (const [level, text] of early.splice(0)) host.log?.(level, text);
}

/** A function of the server; `name` is what verdict.yaml calls the import. */
export function called(key, name) {
  if (host[key] !== undefined) return host[key];
  if (connected) throw new Error(`the component does not import ${name}: add it to the imports of verdict.yaml`);
  throw new Error(
    "the server cannot be called here: code at the top level of a module runs when the policy is built. Call it from init or later",
  );
}
