// @ts-check
// Members of a group may read in namespaces with a prefix.

import { SettingsError, ruling } from "verdict-policy-sdk";

const READING = ["get", "list", "watch"];

let group = "";
let namespacePrefix = "";

/**
 * Runs once, when the policy is loaded. What is wrong here is shown to the operator.
 * @param {{ group: string, namespacePrefix: string }} settings
 */
export function init(settings) {
  const errors = [];
  if (!settings.group) errors.push(new SettingsError("/group", "expected the name of a group"));
  if (!settings.namespacePrefix) errors.push(new SettingsError("/namespacePrefix", "expected a prefix that is not empty"));
  SettingsError.throwIfAny(errors);
  ({ group, namespacePrefix } = settings);
}

/** @param {import("verdict-policy-sdk").SubjectAccessReview} review */
export function authorize({ user, resourceAttributes: asked }) {
  const may =
    asked !== undefined &&
    user.groups.includes(group) &&
    asked.namespace.startsWith(namespacePrefix) &&
    READING.includes(asked.verb) &&
    // `*` is all resources, so also secrets.
    !["secrets", "*"].includes(asked.resource);
  // Others are asked next: RBAC, for example.
  return may ? ruling.allow(`${group} may read in ${namespacePrefix}*`) : ruling.noOpinion();
}
