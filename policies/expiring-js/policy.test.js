import assert from "node:assert/strict";
import { test } from "node:test";

import { load, settingsErrors } from "verdict-policy-sdk/testing";

import * as policy from "./policy.js";

/** A ConfigMap of an age in seconds. */
const aged = (age, expiresAfter, more = {}) => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: {
    namespace: "previews",
    name: "web",
    creationTimestamp: new Date(Date.now() - age * 1000).toISOString(),
    annotations: { "example.org/expires-after": expiresAfter },
    ...more,
  },
});
const key = { apiVersion: "v1", kind: "ConfigMap", namespace: "previews", name: "web" };
const ask = (object, more = {}, settings = {}) => load(policy, settings).handleChange({ type: "ADDED", object, ...more });

test("the sample changes give the verdict that they are named after", () => {
  load(policy).checkReviews(new URL("reviews/", import.meta.url));
});

test("what is left of its time is waited for, at most a day at once", () => {
  const [{ againAfter }] = ask(aged(60, "10m"));
  assert.ok(againAfter > 530 && againAfter <= 540, String(againAfter));
  assert.deepEqual(ask(aged(60, "7d")), [{ againAfter: 86400 }]);
});

test("what is over is deleted", () => {
  const event = { type: "Normal", reason: "Expired", note: "its 10m are over" };
  assert.deepEqual(ask(aged(601, "10m"), { type: "MODIFIED", replayed: true }), [{ event }, { delete: key }]);
});

test("what has no such annotation, or is gone already, is left alone", () => {
  assert.deepEqual(ask(aged(601, "10m", { annotations: null })), []);
  assert.deepEqual(ask(aged(601, "10m"), { type: "DELETED" }), []);
  assert.deepEqual(ask(aged(601, "10m", { deletionTimestamp: "2026-03-02T09:30:00Z" })), []);
  assert.deepEqual(ask(aged(601, "10m"), {}, { annotation: "example.org/ttl" }), []);
});

test("who writes no duration is told once", () => {
  for (const bad of ["", "10", "-1m", "0s", "1w", "10 m", "9999999999s"]) {
    assert.equal(ask(aged(0, bad))[0].event.reason, "BadDuration", bad);
  }
  assert.deepEqual(ask(aged(0, "soon"), { replayed: true }), []);
  assert.deepEqual(ask(aged(0, "soon"), { type: "MODIFIED", oldObject: aged(0, "soon") }), []);
  assert.equal(ask(aged(0, "soon"), { type: "MODIFIED", oldObject: aged(0, "1m") }).length, 1);
});

test("bad settings are refused where they are", () => {
  assert.equal(settingsErrors(policy, { annotation: "" })[0].path, "/annotation");
});
