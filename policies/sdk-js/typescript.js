// For unit tests in TypeScript, in every Node that is supported: node --import verdict-policy-sdk/typescript --test policy.test.ts

import { register } from "node:module";

register("./src/testing/typescript.js", import.meta.url);
