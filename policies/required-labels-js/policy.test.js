import assert from "node:assert/strict";
import { test } from "node:test";

import { load, settingsErrors } from "verdict-policy-sdk/testing";

import * as policy from "./policy.js";

const SETTINGS = { labels: ["team", { key: "example.org/cost-center", pattern: "^[0-9]{4}$" }] };
const reviews = new URL("../required-labels/reviews/", import.meta.url);

test("the sample reviews give the verdict that they are named after", () => {
  load(policy, SETTINGS).checkReviews(reviews);
});

test("each violation names its field", () => {
  const { denial } = load(policy, SETTINGS).validate(new URL("denied-no-labels.json", reviews));
  assert.deepEqual(
    denial?.causes.map((it) => it.field),
    ["metadata.labels.team", "metadata.labels[example.org/cost-center]"],
  );
});

test("bad settings are refused where they are", () => {
  for (const [settings, path] of [
    [{}, ""],
    [{ labels: ["a", { key: "b", pattern: "(" }] }, "/labels/1/pattern"],
    [{ label: ["a"] }, "/label"],
    [{ annotations: [""] }, "/annotations/0"],
    [{ labels: [1] }, "/labels/0"],
    [{ labels: [{ key: 1 }] }, "/labels/0/key"],
    [{ labels: [{ key: "a", regex: "x" }] }, "/labels/0/regex"],
    [{ labels: ["a", { key: "a", pattern: "x" }] }, "/labels/1"],
    [{ labels: "a" }, "/labels"],
  ]) {
    assert.equal(settingsErrors(policy, /** @type {object} */ (settings))[0].path, path, JSON.stringify(settings));
  }
});
