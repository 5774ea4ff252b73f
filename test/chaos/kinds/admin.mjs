/**
 * A connection to the server itself, past the pool and the proxy, by which it is asked and told. One that ends with the server
 * is opened anew; while there is none, `ask` gives `undefined`.
 */
export class Admin {
  #open;
  #close;
  #connection;

  constructor(open, close) {
    this.#open = open;
    this.#close = close;
  }

  async ask(question) {
    try {
      this.#connection ??= this.#open();
      return await question(await this.#connection);
    } catch {
      await this.end();
      return undefined;
    }
  }

  async end() {
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection !== undefined) await connection.then(this.#close).catch(() => undefined);
  }
}
