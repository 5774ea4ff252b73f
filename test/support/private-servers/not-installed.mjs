/** The machine has no such server to start. */
export class NotInstalledError extends Error {
  constructor(name, cure) {
    super(`no ${name} to start on this machine: ${cure}`);
    this.name = 'NotInstalledError';
  }
}
