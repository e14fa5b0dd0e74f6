/** What a policy's runtime has besides the language itself. For `"types": ["verdict-policy-sdk/globals"]` of a jsconfig.json. */

declare var console: Record<"trace" | "debug" | "log" | "info" | "warn" | "error", (...values: unknown[]) => void>;

declare class TextEncoder {
  readonly encoding: string;
  encode(text?: string): Uint8Array;
}

/** Only UTF-8. */
declare class TextDecoder {
  constructor(label?: string);
  readonly encoding: string;
  decode(bytes?: ArrayBuffer | ArrayBufferView): string;
}

declare var crypto: {
  getRandomValues<T extends ArrayBufferView>(array: T): T;
  randomUUID(): string;
};

declare function atob(text: string): string;
declare function btoa(text: string): string;
