/**
 * Native unit tests of policies, for `node --test`: whole reviews in, answers out, through the same code as in the server.
 *
 * A review is JSON text, an object, or the URL of a file: `new URL("reviews/denied.json", import.meta.url)`.
 */

import type { Action, Cause, KubernetesObject, Operation, Policy, UserInfo } from "./index.js";

export type Review = string | object;

/** Initialises the policy with these settings. Throws if they are refused. */
export function load(policy: Policy, settings?: object, options?: { env?: Record<string, string> }): Subject;

/** Why these settings are refused. Throws if they are not. */
export function settingsErrors(policy: Policy, settings: object): { path: string; message: string }[];

/** What was logged since the last call. */
export function takeLogged(): { level: string; message: string }[];

/** What was written to the audit log since the last call. */
export function takeAudited(): { key: string; value: string }[];

/** The `*.json` of a folder, in order. */
export function readReviews(folder: string | { readonly href: string }): { name: string; review: string }[];

/** An AdmissionReview of a bare object; `user` is a name or a whole UserInfo. More fields of the request can be given. */
export function admissionReview(
  object: KubernetesObject | undefined,
  options?: { operation?: Operation; oldObject?: KubernetesObject; user?: string | Partial<UserInfo>; [field: string]: unknown },
): object;

/** The policy threw: it could not decide. */
export class PolicyError extends Error {}

export interface AdmissionAnswer {
  denial?: { message: string; code?: number; reason: string; causes: Cause[]; retryAfter?: number };
  warnings: string[];
  annotations: Record<string, string>;
}

/** A policy with its settings. Its functions throw {@link PolicyError} where the policy throws. */
export interface Subject {
  validate(review: Review): AdmissionAnswer & { verdict: "allowed" | "denied" };
  /** `object` is the object after the patch, `patch` its JSON as the policy gave it. */
  mutate(review: Review): AdmissionAnswer & { verdict: "changed" | "unchanged" | "denied"; object?: any; patch?: string };
  authenticate(review: Review): { verdict: "authenticated" | "unknown" | "rejected"; user?: UserInfo; audiences?: string[]; reason?: string };
  authorize(review: Review): { verdict: "allow" | "deny" | "no-opinion"; reason: string };
  handleEvent(event: Review): any;
  /** A change is `{ type: "ADDED", object: {...} }`, with `oldObject` and `replayed` where they are known. */
  handleChange(change: Review): Action[];
  cleanup(): void;
  /** The word for the answer to a review of any kind: one of those above, `answered`, or `error`. */
  verdict(review: Review): string;
  /** Throws unless every file of the folder gives the verdict that its name begins with. */
  checkReviews(folder: string | { readonly href: string }): void;
}
