const HISTOGRAM = new URL('../../../dist/core/histogram.js', import.meta.url);

/** Histograms cannot be switched off, so their price is measured alone: each borrow and return records two durations. */
export const histogramRecord = async () => {
  const { Histogram } = await import(HISTOGRAM.href);
  const histogram = new Histogram();
  // From a microsecond to minutes, as waits are.
  const durations = Array.from({ length: 1_024 }, (_, index) => 1.02 ** index / 1_000);
  const run = async () => {
    const records = 100_000;
    for (let index = 0; index < records; index += 1) histogram.record(durations[index & 1_023]);
    return records;
  };
  return { run };
};
