import { called } from "../host.js";

export const audit = (key, value) => called("audit", "audit-log")(String(key), String(value));
