// What a policy imports. The types and their documentation are in index.d.ts.

export { allow, authenticated, cause, deny, fromCauses, rejected, ruling, unchanged, unknown } from "./src/answers.js";
export { action } from "./src/changes.js";
export { change, changePodSpec, full, jsonPatch, mergePatch } from "./src/change.js";
export { audit } from "./src/imports/audit-log.js";
export { env } from "./src/imports/environment.js";
export { log } from "./src/imports/log.js";
export { rawReview, rawReviewText } from "./src/imports/review.js";
export { FieldPath, fieldPath, pointer } from "./src/path.js";
export { podSpec } from "./src/request.js";
export { SettingsError } from "./src/settings.js";
export { sha256 } from "./src/sha256.js";
