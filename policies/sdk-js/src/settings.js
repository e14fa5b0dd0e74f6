// What is wrong with the settings, with the place of it.

export class SettingsError extends Error {
  constructor(path, message) {
    super(message);
    this.name = "SettingsError";
    this.path = path;
  }

  static throwIfAny(errors) {
    if (errors.length > 0) throw new AggregateError(errors, "the settings are refused");
  }
}
