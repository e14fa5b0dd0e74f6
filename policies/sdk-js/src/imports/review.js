import { called } from "../host.js";

export const rawReviewText = () => called("review", "review")();

export function rawReview() {
  const text = rawReviewText();
  return text === "" ? undefined : JSON.parse(text);
}
