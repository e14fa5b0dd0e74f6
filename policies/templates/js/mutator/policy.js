// @ts-check
// Labels that are missing are added.

import { SettingsError, change, unchanged } from "verdict-policy-sdk";

/** @type {Record<string, string>} */
let labels = {};

/**
 * Runs once, when the policy is loaded. What is wrong here is shown to the operator.
 * @param {{ labels: Record<string, string> }} settings
 */
export function init(settings) {
  if (Object.keys(settings.labels).length === 0) throw new SettingsError("/labels", "expected at least one label");
  labels = settings.labels;
}

/** @param {import("verdict-policy-sdk").AdmissionRequest} request */
export function mutate(request) {
  if (!request.object) return unchanged();
  return change(request, (object) => {
    object.metadata ??= {};
    // Those that are there come last: they stay, whatever their value.
    object.metadata.labels = { ...labels, ...object.metadata.labels };
  });
}
