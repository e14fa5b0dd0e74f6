import assert from "node:assert/strict";
import { test } from "node:test";

import { action } from "verdict-policy-sdk";
import { load, settingsErrors } from "verdict-policy-sdk/testing";

import * as policy from "./policy.js";

const reviews = new URL("reviews/", import.meta.url);
const review = (name) => new URL(name, reviews);

test("the sample changes give the verdict that they are named after", () => {
  load(policy).checkReviews(reviews);
});

test("several replicas have a budget", () => {
  const [{ apply }] = load(policy, { maxUnavailable: 2 }).handleChange(review("answered-several-replicas.json"));
  assert.equal(apply.metadata.name, "web-my-policy");
  assert.deepEqual(apply.spec, { maxUnavailable: 2, selector: { matchLabels: { app: "web" } } });
});

test("one replica has none", () => {
  const budget = { apiVersion: "policy/v1", kind: "PodDisruptionBudget", namespace: "shop", name: "web-my-policy" };
  assert.deepEqual(load(policy).handleChange(review("answered-one-replica.json")), [action.delete(budget)]);
});

test("bad settings are refused where they are", () => {
  for (const maxUnavailable of [0, 1.5]) assert.equal(settingsErrors(policy, { maxUnavailable })[0].path, "/maxUnavailable");
});
