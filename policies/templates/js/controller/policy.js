// @ts-check
// Deployments of several replicas have a PodDisruptionBudget.

import { SettingsError, action } from "verdict-policy-sdk";

let maxUnavailable = 1;

/**
 * Runs once, when the policy is loaded. What is wrong here is shown to the operator.
 * @param {{ maxUnavailable?: number }} settings
 */
export function init(settings) {
  maxUnavailable = settings.maxUnavailable ?? 1;
  if (!Number.isInteger(maxUnavailable) || maxUnavailable < 1) {
    throw new SettingsError("/maxUnavailable", `expected a whole number from 1, got ${maxUnavailable}`);
  }
}

/**
 * The same change may come twice, and objects that are there already come when the policy is loaded: so it says what must
 * be, whatever was before.
 * @param {import("verdict-policy-sdk").ObjectChange} change
 */
export function handleChange(change) {
  const { namespace, name } = change.key;
  const { metadata, spec } = change.object;
  // Its budget goes with it, since it is its owner.
  if (change.type === "DELETED" || metadata?.deletionTimestamp) return [];
  const budget = { apiVersion: "policy/v1", kind: "PodDisruptionBudget" };
  const budgetName = `${name}-my-policy`;
  if (spec.replicas < 2) return [action.delete({ ...budget, namespace, name: budgetName })];
  const owner = { apiVersion: "apps/v1", kind: "Deployment", name, uid: metadata?.uid ?? "" };
  return [
    action.apply({
      ...budget,
      metadata: { namespace, name: budgetName, ownerReferences: [owner] },
      spec: { maxUnavailable, selector: spec.selector },
    }),
  ];
}
