/** One contender, one measurement, one process: neither compiled code nor garbage is shared. Tells its figures, and ends. */
import { CONTENDERS } from './contenders.mjs';

// It would advise, in the middle of a measurement.
globalThis.AI_SDK_LOG_WARNINGS = false;

const [, , sectionName, contenderName, origin, sizes] = process.argv;
const { section } = await import(`./${sectionName}.mjs`);
const { upstream, connections, batchSize } = section;
const baseURL = `${origin}/${upstream}/v1`;

const contender = await CONTENDERS[contenderName].make({ baseURL, connections, batchSize });
const figures = await section.measure(contender, { baseURL, ...JSON.parse(sizes) });
await contender.close();
process.send(figures, () => process.disconnect());
