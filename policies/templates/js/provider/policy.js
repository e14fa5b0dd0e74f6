// @ts-check
// Events of deployments become notifications.

import { SettingsError, audit } from "verdict-policy-sdk";

let minimum = 1;

/**
 * Runs once, when the policy is loaded. What is wrong here is shown to the operator.
 * @param {{ minimum?: number }} settings
 */
export function init(settings) {
  minimum = settings.minimum ?? 1;
  if (!(minimum >= 0 && minimum <= 1)) throw new SettingsError("/minimum", `expected a share from 0 to 1, got ${minimum}`);
}

/** @param {unknown} event */
export function handleEvent(event) {
  const { namespace, name, replicas, ready } = expectDeployment(event);
  const severity = replicas === 0 || ready / replicas >= minimum ? "ok" : "warning";
  audit("severity", severity);
  return { severity, text: `${namespace}/${name}: ${ready} of ${replicas} replicas are ready` };
}

/**
 * @param {any} event
 * @returns {{ namespace: string, name: string, replicas: number, ready: number }}
 */
function expectDeployment(event) {
  for (const field of ["namespace", "name"]) {
    if (typeof event?.[field] !== "string") throw new TypeError(`event: expected a text as ${field}`);
  }
  for (const field of ["replicas", "ready"]) {
    if (!Number.isInteger(event[field]) || event[field] < 0) throw new TypeError(`event: expected a number as ${field}`);
  }
  return event;
}
