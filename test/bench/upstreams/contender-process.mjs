/**
 * One contender in a process of its own: neither its processor time nor its compiled code is mixed with another's. (In one
 * process, our core would serve every kind and each peer its own alone, and whoever comes next would pay for the garbage.)
 *
 * Tells who it is, and then does what it is asked, one thing after the other.
 */
const [, , kindName, index, connections, address] = process.argv;
const { kind } = await import(`./${kindName}.mjs`);
const make = kind.contenders(Number(connections), JSON.parse(address))[Number(index)];

let contender = make();

const orders = {
  load: ({ callers, forMs, atLeast = 0 }) => load(contender.call, callers, forMs, atLeast),
  cold: () => coldBurst(),
  end: async () => {
    await contender.close();
    process.disconnect();
  },
};

process.on('message', async ({ order, ...details }) => {
  const answer = await orders[order](details);
  if (process.connected) process.send(answer ?? null);
});
const { name, is } = contender;
process.send({ name, is });

async function load(call, callers, forMs, atLeast) {
  const until = performance.now() + forMs;
  let calls = 0;
  const cpuBefore = process.cpuUsage();
  const began = performance.now();
  const caller = async () => {
    while (calls < atLeast || performance.now() < until) {
      await call();
      calls += 1;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  const tookMs = performance.now() - began;
  const { user, system } = process.cpuUsage(cpuBefore);
  return { perSecond: (calls / tookMs) * 1_000, cpu: (user + system) / calls };
}

/** A pool that has opened nothing yet, and a hundred callers at once: how long until each has one answer. */
async function coldBurst() {
  await contender.close();
  contender = make();
  const began = performance.now();
  await Promise.all(Array.from({ length: 100 }, () => contender.call()));
  return performance.now() - began;
}
