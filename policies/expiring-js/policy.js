// @ts-check
// Deletes objects whose time is over: an annotation says how long after their creation that is.

import { SettingsError, action } from "verdict-policy-sdk";

let annotation = "";

/** @param {{ annotation?: string }} settings */
export function init(settings) {
  annotation = settings.annotation ?? "example.org/expires-after";
  if (annotation === "") throw new SettingsError("/annotation", "expected the key of an annotation, got an empty one");
}

/** @param {import("verdict-policy-sdk").ObjectChange} change */
export function handleChange(change) {
  const { metadata } = change.object;
  const text = metadata?.annotations?.[annotation];
  if (change.type === "DELETED" || metadata?.deletionTimestamp || text === undefined) return [];
  const seconds = duration(text);
  if (seconds === undefined) {
    // Once, not whenever the server starts.
    if (change.replayed || change.oldObject?.metadata?.annotations?.[annotation] === text) return [];
    return [action.warning("BadDuration", `${annotation}: expected a time such as 90s, 10m, 12h or 7d: it is kept for ever`)];
  }
  const created = Date.parse(metadata?.creationTimestamp ?? "");
  if (Number.isNaN(created)) throw new TypeError("metadata.creationTimestamp: expected a time");
  const left = created / 1000 + seconds - Date.now() / 1000;
  // A wait has at most a day; it is told again then, and waits for the rest.
  if (left > 0) return [action.againAfter(left)];
  return [action.event("Expired", `its ${text} are over`), action.delete(change.key)];
}

/**
 * In seconds.
 * @param {string} text
 */
function duration(text) {
  const [, number, unit = ""] = /^([1-9][0-9]{0,8})([smhd])$/.exec(text) ?? [];
  return number === undefined ? undefined : Number(number) * (UNITS.get(unit) ?? 1);
}

const UNITS = new Map([["s", 1], ["m", 60], ["h", 3600], ["d", 86_400]]);
