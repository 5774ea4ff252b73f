/**
 * Runs one fault against one pool and prints the verdict: `node --expose-gc run-one.mjs tarn N21`.
 *
 * A process of its own, because the fault may crash it, spin it or keep it from ending.
 */
import { opener } from './seeing.mjs';
import { scenarios } from './scenarios/index.mjs';

const [poolName, id] = process.argv.slice(2);
const pool = await import(`./pools/${poolName}.mjs`);
const scenario = scenarios.find((one) => one.id === id);

const verdict = await scenario.run(opener(pool));
if (!scenario.endsByItself) {
  // A rejection or an exception that came of it would end the process by now.
  await new Promise((resolve) => setTimeout(resolve, 30));
  process.stdout.write(`\nVERDICT ${JSON.stringify(verdict)}\n`, () => process.exit(0));
}
