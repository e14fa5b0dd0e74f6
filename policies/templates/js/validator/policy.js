// @ts-check
// Containers come from allowed registries.

import { SettingsError, allow, cause, fieldPath, fromCauses } from "verdict-policy-sdk";

/** @type {string[]} */
let registries = [];

/**
 * Runs once, when the policy is loaded. What is wrong here is shown to the operator.
 * @param {{ registries: string[] }} settings
 */
export function init(settings) {
  const errors = settings.registries
    .map((registry, index) => ({ registry, index }))
    .filter(({ registry }) => !registry.endsWith("/"))
    .map(({ registry, index }) => {
      const message = `expected a prefix that ends with /, got ${JSON.stringify(registry)}`;
      return new SettingsError(`/registries/${index}`, message);
    });
  if (settings.registries.length === 0) errors.push(new SettingsError("/registries", "expected at least one"));
  SettingsError.throwIfAny(errors);
  registries = settings.registries;
}

/** @param {import("verdict-policy-sdk").AdmissionRequest} request */
export function validate(request) {
  // A delete has no object, and what other subresources are sent with is no pod.
  if (!request.object || !["", "ephemeralcontainers"].includes(request.subresource)) return allow();
  const { spec } = request.object;
  const causes = ["containers", "initContainers", "ephemeralContainers"].flatMap((field) => violations(field, spec[field] ?? []));
  return fromCauses(`images must come from ${registries.join(", ")}`, causes);
}

/**
 * @param {string} field
 * @param {{ image?: string }[]} containers
 */
function violations(field, containers) {
  return containers.flatMap(({ image = "" }, index) => {
    if (registries.some((registry) => image.startsWith(registry))) return [];
    const path = fieldPath("spec", field, index, "image");
    return [cause(path, "FieldValueForbidden", `${image} is not from an allowed registry`)];
  });
}
