import { called } from "../host.js";

const write = (level) => (message) => called("log", "log")(level, String(message));

export const log = {
  trace: write("trace"),
  debug: write("debug"),
  info: write("info"),
  warn: write("warn"),
  error: write("error"),
};
