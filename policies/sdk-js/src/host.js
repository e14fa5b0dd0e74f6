// What a policy may call while it runs. In the server these are imports of the component, in `node --test` the testing
// module records them.

const none = () => {
  throw new Error(
    "the server cannot be called here: code at the top level of a module runs when the policy is built. Call it from init or later",
  );
};

const host = { log: none, audit: none, review: none, environment: none, random: none };

/** Puts real functions behind the imports. Not for policies. */
export const connect = (functions) => Object.assign(host, functions);

export const random = () => host.random();

const write = (level) => (message) => host.log(level, String(message));

export const log = {
  trace: write("trace"),
  debug: write("debug"),
  info: write("info"),
  warn: write("warn"),
  error: write("error"),
};

export const audit = (key, value) => host.audit(String(key), String(value));

export const rawReviewText = () => host.review();

export function rawReview() {
  const text = host.review();
  return text === "" ? undefined : JSON.parse(text);
}

export const env = (name) => host.environment().find(([key]) => key === name)?.[1];
