import { called } from "../host.js";

export const env = (name) => called("environment", "env")().find(([key]) => key === name)?.[1];
