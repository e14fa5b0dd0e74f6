// @ts-check
// Users are known by the SHA-256 digests of their tokens.

import { SettingsError, authenticated, sha256, unknown } from "verdict-policy-sdk";

/** @typedef {{ sha256: string, username: string, groups?: string[] }} User */

/** @type {Map<string, User>} */
let users = new Map();

/**
 * Runs once, when the policy is loaded. What is wrong here is shown to the operator.
 * @param {{ users: User[] }} settings
 */
export function init(settings) {
  const errors = settings.users.flatMap((user, index) => {
    const path = `/users/${index}`;
    return [
      ...(/^[0-9a-f]{64}$/.test(user.sha256) ? [] : [new SettingsError(`${path}/sha256`, "expected 64 hexadecimal digits in lower case")]),
      ...(user.username ? [] : [new SettingsError(`${path}/username`, "expected a name")]),
    ];
  });
  SettingsError.throwIfAny(errors);
  users = new Map(settings.users.map((user) => [user.sha256, user]));
}

/** @param {import("verdict-policy-sdk").TokenReview} review */
export function authenticate(review) {
  // Looking up the digest says nothing about the token by the time that it takes. The token itself is never logged.
  const user = users.get(sha256(review.token));
  return user ? authenticated({ username: user.username, groups: user.groups }) : unknown();
}
