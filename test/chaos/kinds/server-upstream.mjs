/** What the kinds with a server process of their own have in common. */
export class ServerUpstream {
  constructor(server, admin) {
    this.server = server;
    this.admin = admin;
  }

  get target() {
    return { host: this.server.host, port: this.server.port };
  }

  /** Ends one session of ours. */
  async kill(random) {
    const ids = await this.admin.ask((connection) => this.ids(connection));
    if (ids === undefined || ids.length === 0) return false;
    return (await this.admin.ask((connection) => this.end(connection, random.pick(ids)))) !== undefined;
  }

  async restart(how) {
    await this.server[how]();
    await this.server.start();
  }

  async close() {
    await this.admin.end();
    await this.server.remove();
  }
}
