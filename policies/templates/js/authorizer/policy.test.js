import assert from "node:assert/strict";
import { test } from "node:test";

import { load, settingsErrors } from "verdict-policy-sdk/testing";

import * as policy from "./policy.js";

const SETTINGS = { group: "developers", namespacePrefix: "dev-" };
const reviews = new URL("reviews/", import.meta.url);

test("the sample reviews give the verdict that they are named after", () => {
  load(policy, SETTINGS).checkReviews(reviews);
});

test("the reason says why", () => {
  const { reason } = load(policy, SETTINGS).authorize(new URL("allow-list-pods.json", reviews));
  assert.equal(reason, "developers may read in dev-*");
});

test("a path is no resource in a namespace", () => {
  const spec = { user: "jane", groups: ["developers"], nonResourceAttributes: { verb: "get", path: "/dev-" } };
  assert.equal(load(policy, SETTINGS).authorize({ kind: "SubjectAccessReview", spec }).verdict, "no-opinion");
});

test("bad settings are refused where they are", () => {
  const paths = settingsErrors(policy, { group: "", namespacePrefix: "" }).map((it) => it.path);
  assert.deepEqual(paths, ["/group", "/namespacePrefix"]);
});
