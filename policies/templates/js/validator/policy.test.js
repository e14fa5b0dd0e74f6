import assert from "node:assert/strict";
import { test } from "node:test";

import { load, settingsErrors } from "verdict-policy-sdk/testing";

import * as policy from "./policy.js";

const SETTINGS = { registries: ["registry.example.org/"] };
const reviews = new URL("reviews/", import.meta.url);

test("the sample reviews give the verdict that they are named after", () => {
  load(policy, SETTINGS).checkReviews(reviews);
});

test("each violation names its field", () => {
  const { denial } = load(policy, SETTINGS).validate(new URL("denied-init-container.json", reviews));
  assert.equal(denial?.message, "images must come from registry.example.org/");
  assert.equal(denial.causes[0].field, "spec.initContainers[0].image");
});

test("bad settings are refused where they are", () => {
  assert.equal(settingsErrors(policy, { registries: [] })[0].path, "/registries");
  assert.deepEqual(settingsErrors(policy, { registries: ["a/", "b"] }), [
    { path: "/registries/1", message: 'expected a prefix that ends with /, got "b"' },
  ]);
});
