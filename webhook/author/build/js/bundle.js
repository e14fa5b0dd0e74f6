// Asks esbuild of the author's folder, as one JSON argument says: what it finds wrong goes to standard error, with file and line.
import { createRequire, isBuiltin } from "node:module";

const asked = JSON.parse(process.argv[1]);
const esbuild = createRequire(`${process.cwd()}/`)("esbuild");
const platform = (text) => /^Could not resolve "(.*)"$/.exec(text)?.[1];

const advised = (message) => {
  // A wrong option is the author's, not at a place in esbuild's own program.
  if (message.location?.file.endsWith("node_modules/esbuild/lib/main.js")) return { text: `package.json: verdict.esbuild: ${message.text}` };
  // Its own advice is to bundle for Node.
  const name = platform(message.text);
  if (name === undefined || !isBuiltin(name)) return message;
  const text =
    `A component has no modules of Node. Take a package that is made for browsers, or name a replacement in package.json: ` +
    `"verdict": {"esbuild": {"alias": {"${name}": "./${name.replace(/^node:/, "").replace(/\W/g, "-")}.js"}}}`;
  return { ...message, notes: [{ text }] };
};
const say = (messages, kind) => {
  for (const text of esbuild.formatMessagesSync(messages.map(advised), { kind })) process.stderr.write(text);
};

try {
  const { metafile, warnings } = esbuild.buildSync({ ...asked, logLevel: "silent" });
  say(warnings, "warning");
  if (metafile) process.stdout.write(JSON.stringify(metafile));
} catch (error) {
  if (error.errors) {
    say(error.warnings ?? [], "warning");
    say(error.errors, "error");
  } else {
    process.stderr.write(`esbuild: ${error.message}\n`);
  }
  process.exitCode = 1;
}
