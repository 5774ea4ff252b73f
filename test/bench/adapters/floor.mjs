/**
 * What cannot be done without: an array of idle values and a ring of waiters. No features, so its figures are the price
 * of promises and of the loop around them; how far a pool stands above it is what that pool costs.
 */

/** A queue in an array that wraps around, and doubles when it is full. */
class Ring {
  #items = slots(1024);
  #head = 0;
  size = 0;

  push(item) {
    if (this.size === this.#items.length) this.#grow();
    this.#items[(this.#head + this.size) & (this.#items.length - 1)] = item;
    this.size += 1;
  }

  shift() {
    const item = this.#items[this.#head];
    this.#items[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#items.length - 1);
    this.size -= 1;
    return item;
  }

  #grow() {
    this.#items = doubled(this.#items, this.#head);
    this.#head = 0;
  }
}

function slots(length) {
  const array = [];
  array.length = length;
  return array;
}

/** Only for a full ring: all of the array is in use, from the head around to it. */
function doubled(array, head) {
  const inOrder = array.slice(head).concat(array.slice(0, head));
  inOrder.length = array.length * 2;
  return inOrder;
}

class Floor {
  idle = [];
  waiters = new Ring();
  opened = 0;

  constructor(wishes) {
    this.wishes = wishes;
  }

  acquire() {
    if (this.idle.length > 0) return Promise.resolve(this.idle.pop());
    if (this.opened < this.wishes.maxConnections) return this.open();
    return this.wait();
  }

  release(value) {
    if (this.waiters.size > 0) this.waiters.shift()(value);
    else this.idle.push(value);
  }

  async use(work) {
    const value = this.idle.length > 0 ? this.idle.pop() : await this.acquire();
    try {
      return await work(value);
    } finally {
      this.release(value);
    }
  }

  open() {
    this.opened += 1;
    return Promise.resolve(this.wishes.create());
  }

  wait() {
    return new Promise((resolve) => this.waiters.push(resolve));
  }
}

/** A ring whose items have three parts, each part in an array of its own: an object for each would cost more. */
class WaiterRing {
  #resolves = slots(1024);
  #rejects = slots(1024);
  #dues = slots(1024).fill(0.5);
  #head = 0;
  size = 0;

  push(resolve, reject, dueAt) {
    if (this.size === this.#resolves.length) this.#grow();
    const index = (this.#head + this.size) & (this.#resolves.length - 1);
    this.#resolves[index] = resolve;
    this.#rejects[index] = reject;
    this.#dues[index] = dueAt;
    this.size += 1;
  }

  get firstDueAt() {
    return this.#dues[this.#head];
  }

  resolveFirst(value) {
    const resolve = this.#resolves[this.#head];
    this.#drop();
    resolve(value);
  }

  rejectFirst(error) {
    const reject = this.#rejects[this.#head];
    this.#drop();
    reject(error);
  }

  #drop() {
    this.#resolves[this.#head] = undefined;
    this.#rejects[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#resolves.length - 1);
    this.size -= 1;
  }

  #grow() {
    this.#resolves = doubled(this.#resolves, this.#head);
    this.#rejects = doubled(this.#rejects, this.#head);
    this.#dues = doubled(this.#dues, this.#head);
    this.#head = 0;
  }
}

/** Everyone has the same patience, so deadlines stand in the order of arrival and one timer serves all. */
class PatientFloor extends Floor {
  waiters = new WaiterRing();
  isArmed = false;

  release(value) {
    if (this.waiters.size > 0) this.waiters.resolveFirst(value);
    else this.idle.push(value);
  }

  wait() {
    const { acquireTimeoutMs } = this.wishes;
    const dueAt = performance.now() + acquireTimeoutMs;
    if (!this.isArmed) this.arm(acquireTimeoutMs);
    return new Promise((resolve, reject) => this.waiters.push(resolve, reject, dueAt));
  }

  arm(delayMs) {
    this.isArmed = true;
    setTimeout(() => this.expire(), delayMs);
  }

  expire() {
    this.isArmed = false;
    const now = performance.now();
    while (this.waiters.size > 0 && this.waiters.firstDueAt <= now) {
      this.waiters.rejectFirst(new Error('no connection in time'));
    }
    if (this.waiters.size > 0) this.arm(Math.ceil(this.waiters.firstDueAt - now));
  }
}

class CheckingFloor extends Floor {
  async acquire() {
    const value = this.idle.length > 0 ? this.idle.pop() : await super.acquire();
    if (await this.wishes.check(value)) return value;
    throw new Error('no connection passes its check');
  }
}

/** The oldest idle one lies at the bottom, so one look tells whether any has expired. */
class EvictingFloor extends Floor {
  since = [];
  isArmed = false;

  acquire() {
    this.since.pop();
    return super.acquire();
  }

  release(value) {
    super.release(value);
    this.since.push(performance.now());
    if (!this.isArmed) this.arm(this.wishes.maxIdleTimeMs);
  }

  arm(delayMs) {
    this.isArmed = true;
    setTimeout(() => {
      this.isArmed = false;
      this.tick();
      if (this.idle.length > 0) this.arm(Math.ceil(this.since[0] + this.wishes.maxIdleTimeMs - performance.now()));
    }, delayMs);
  }

  tick() {
    const until = performance.now() - this.wishes.maxIdleTimeMs;
    let count = 0;
    while (count < this.since.length && this.since[count] <= until) count += 1;
    if (count === 0) return;
    this.since.splice(0, count);
    for (const value of this.idle.splice(0, count)) this.wishes.destroy(value);
  }
}

function kindFor(wishes) {
  if (wishes.check !== undefined) return CheckingFloor;
  if (wishes.maxIdleTimeMs !== undefined) return EvictingFloor;
  return wishes.acquireTimeoutMs === undefined ? Floor : PatientFloor;
}

function open(wishes) {
  const floor = new (kindFor(wishes))(wishes);
  return {
    acquire: () => floor.acquire(),
    release: (value) => floor.release(value),
    use: (work) => floor.use(work),
    tick: () => floor.tick(),
  };
}

/** @type {import('../adapters.mjs').Adapter} */
export const floor = { open };

/** The same with the acquire timeout that our pool always has. @type {import('../adapters.mjs').Adapter} */
export const floorWithTimeout = { open: (wishes) => open({ acquireTimeoutMs: 10_000, ...wishes }) };
