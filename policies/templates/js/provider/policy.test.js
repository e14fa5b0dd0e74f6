import assert from "node:assert/strict";
import { test } from "node:test";

import { load, settingsErrors, takeAudited } from "verdict-policy-sdk/testing";

import * as policy from "./policy.js";

test("the sample events are answered as they are named", () => {
  load(policy).checkReviews(new URL("reviews/", import.meta.url));
});

test("enough replicas are fine", () => {
  const event = { namespace: "shop", name: "web", replicas: 3, ready: 2 };
  const text = "shop/web: 2 of 3 replicas are ready";
  assert.deepEqual(load(policy, { minimum: 0.5 }).handleEvent(event), { severity: "ok", text });
  takeAudited();
  assert.deepEqual(load(policy).handleEvent(event), { severity: "warning", text });
  assert.deepEqual(takeAudited(), [{ key: "severity", value: "warning" }]);
});

test("bad settings are refused where they are", () => {
  assert.equal(settingsErrors(policy, { minimum: 2 })[0].path, "/minimum");
});
