import assert from "node:assert/strict";
import { test } from "node:test";

import { admissionReview, load, settingsErrors } from "verdict-policy-sdk/testing";

import * as policy from "./policy.js";

const SETTINGS = { labels: { team: "unknown" } };

test("the sample reviews give the verdict that they are named after", () => {
  load(policy, SETTINGS).checkReviews(new URL("reviews/", import.meta.url));
});

test("what is there stays, and the second time nothing changes", () => {
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "shop", labels: { app: "shop" } } };
  const subject = load(policy, SETTINGS);
  const { object } = subject.mutate(admissionReview(pod));
  assert.deepEqual(object.metadata.labels, { app: "shop", team: "unknown" });
  assert.equal(subject.mutate(admissionReview(object)).verdict, "unchanged");
  pod.metadata.labels = { team: "" };
  assert.equal(subject.mutate(admissionReview(pod)).verdict, "unchanged");
});

test("bad settings are refused where they are", () => {
  assert.equal(settingsErrors(policy, { labels: {} })[0].path, "/labels");
});
