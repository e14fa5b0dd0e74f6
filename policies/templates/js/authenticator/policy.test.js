import assert from "node:assert/strict";
import { test } from "node:test";

import { load, settingsErrors } from "verdict-policy-sdk/testing";

import * as policy from "./policy.js";

const DIGEST = "9dca666eb54730714630d1519264a7bf1eeaad00b8f2edc90d3ecbfad928d163";
const SETTINGS = { users: [{ sha256: DIGEST, username: "jane", groups: ["developers"] }] };
const reviews = new URL("reviews/", import.meta.url);

test("the sample reviews give the verdict that they are named after", () => {
  load(policy, SETTINGS).checkReviews(reviews);
});

test("the bearer has a name and groups", () => {
  const { user } = load(policy, SETTINGS).authenticate(new URL("authenticated-jane.json", reviews));
  assert.equal(user?.username, "jane");
  assert.deepEqual(user.groups, ["developers"]);
});

test("bad settings are refused where they are", () => {
  const users = [{ sha256: DIGEST, username: "jane" }, { sha256: DIGEST.toUpperCase(), username: "" }];
  const paths = settingsErrors(policy, { users }).map((it) => it.path);
  assert.deepEqual(paths, ["/users/1/sha256", "/users/1/username"]);
});
