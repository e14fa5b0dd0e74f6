// The interfaces of the contract, of what a policy exports. `verdict build` writes the module that uses this.

import { Admission, Authentication, Ruling } from "./answers.js";
import { toActions, toObjectChange } from "./changes.js";
import { connect } from "./host.js";
import { toJson } from "./json.js";
import { original } from "./positions.js";
import { toAccessReview, toAdmissionRequest, toTokenReview } from "./request.js";
import { SettingsError } from "./settings.js";

export { connect };

export const lifecycle = (policy, ready = () => {}) => ({
  init(settings) {
    ready();
    try {
      finished("init", policy.init?.(JSON.parse(settings)));
    } catch (error) {
      throw settingsErrors(error);
    }
  },
});

export const cleanup = (policy) => ({ cleanup: guarded("cleanup", () => finished("cleanup", policy.cleanup())) });

export const validating = (policy) => ({
  validate: guarded("validate", (record) => {
    const { denial, change, warnings, annotations } = admission("validate", policy.validate(toAdmissionRequest(record)));
    if (change !== undefined) throw new TypeError("validate cannot change the object: export mutate instead");
    const outcome = denial === undefined ? { tag: "allowed" } : { tag: "denied", val: denial };
    return { outcome, warnings, auditAnnotations: annotations };
  }),
});

export const mutating = (policy) => ({
  mutate: guarded("mutate", (record) => {
    const { denial, change, warnings, annotations } = admission("mutate", policy.mutate(toAdmissionRequest(record)));
    const outcome =
      denial === undefined ? { tag: "allowed", val: change ?? { tag: "unchanged" } } : { tag: "denied", val: denial };
    return { outcome, warnings, auditAnnotations: annotations };
  }),
});

export const authentication = (policy) => ({
  authenticate: guarded("authenticate", (record) => {
    const answer = finished("authenticate", policy.authenticate(toTokenReview(record)));
    if (answer instanceof Authentication) return answer.val === undefined ? { tag: answer.tag } : { tag: answer.tag, val: answer.val };
    throw wrong("authenticate", "authenticated(user), unknown() or rejected(reason)", answer);
  }),
});

export const authorization = (policy) => ({
  authorize: guarded("authorize", (record) => {
    const answer = finished("authorize", policy.authorize(toAccessReview(record)));
    if (answer instanceof Ruling) return { decision: answer.decision, reason: answer.reason };
    throw wrong("authorize", "ruling.allow(reason), ruling.deny(reason) or ruling.noOpinion()", answer);
  }),
});

export const provider = (policy) => ({
  handleEvent: guarded("handleEvent", (event) => {
    const answer = finished("handleEvent", policy.handleEvent(JSON.parse(event)));
    if (answer === undefined) throw wrong("handleEvent", "a value that is JSON", answer);
    return toJson(answer, "answer");
  }),
});

export const changes = (policy) => ({
  handle: guarded("handleChange", (record) => {
    const answer = finished("handleChange", policy.handleChange(toObjectChange(record)));
    if (Array.isArray(answer)) return toActions(answer);
    throw wrong("handleChange", "a list of actions such as [action.apply(object)], or [] for nothing", answer);
  }),
});

function admission(name, answer) {
  if (finished(name, answer) instanceof Admission) return answer;
  const change = name === "mutate" ? "change(request, ...), unchanged()" : "allow()";
  throw wrong(name, `${change} or deny(message)`, answer);
}

const wrong = (name, expected, answer) =>
  new TypeError(`${name} must return ${expected}, got ${answer === undefined ? "nothing" : describe(answer)}`);

function describe(answer) {
  try {
    return JSON.stringify(answer)?.slice(0, 100) ?? typeof answer;
  } catch {
    return typeof answer;
  }
}

function finished(name, answer) {
  if (typeof answer?.then === "function") {
    throw new TypeError(`${name} returned a promise: a policy answers at once, its functions are not async`);
  }
  return answer;
}

/** An error of the policy's becomes the text that the server logs. */
const guarded = (name, answer) => (argument) => {
  try {
    return answer(argument);
  } catch (error) {
    throw text(name, error);
  }
};

function text(name, error) {
  if (!(error instanceof Error)) return `${name} threw ${describe(error)}`;
  const lines = String(error.stack ?? "").split("\n").map((it) => original(it.trim()));
  // Not those of this package, and not those of the engine.
  const own = lines.filter((it) => /^at .*\.[jt]s:/.test(it) && !/(sdk-js|sdk\/js|verdict-policy-sdk)\/src\//.test(it)).slice(0, 3);
  const advice = error.message === "Intl is not defined" ? [`QuickJS has none: see "No Intl" in .verdict/sdk/js/README.md`] : [];
  const causes = error.cause instanceof Error ? [`caused by ${error.cause.name}: ${error.cause.message}`] : [];
  return [`${error.name}: ${error.message}`, ...advice, ...causes, ...own].join("\n  ");
}

export function settingsErrors(error) {
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.flatMap(settingsErrors);
  if (error instanceof SettingsError) return [{ path: String(error.path), message: error.message }];
  return [{ path: "", message: text("init", error) }];
}
