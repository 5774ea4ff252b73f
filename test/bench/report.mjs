import { ADAPTERS, VARIANTS } from './adapters.mjs';
import { digits, times } from './figures.mjs';
import { figureOf } from './rounds.mjs';
import { bestPeer } from './targets.mjs';

const COLUMNS = ADAPTERS.filter((adapter) => !VARIANTS.includes(adapter));

/** Nobody is best at these: they are told, not compared. */
const COUNTS = ['/s', 'timers'];

/**
 * Everything as Markdown.
 *
 * @param {import('./compare.mjs').Run} run
 */
export function markdown({ environment, scenarios, results, targets, coreSize }) {
  return [
    about(environment),
    mainTable(scenarios, results),
    failures(scenarios, results),
    '## The price of each option\n',
    priceTable(scenarios, results),
    '## Must reach\n',
    targetTable(targets),
    `Core: ${coreSize.files} files, ${digits(coreSize.minified)} bytes minified, ${digits(coreSize.gzipped)} gzipped.\n`,
    '## Scenarios\n',
    list(scenarios),
  ].join('\n');
}

function about({ date, node, cores, cpu, cpuSource, rounds, versions }) {
  const peers = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const machine = `Node ${node}, ${cores} cores (${cpu})`;
  const often = rounds === 1 ? 'one round' : `${rounds} interleaved rounds`;
  return `Measured ${date} on ${machine}; ${often}, each measurement in a fresh process. **ns/op** is processor time,
${cpuSource}: the best repetition of a process, the median over rounds. In brackets: times the floor, which is an
array of idle values and a ring of waiters and nothing else. \`noop\` is the loop's own cost, \`floor+timeout\` the floor
with one timer. \`ours\` always has an acquire timeout of 10 s, statistics and histograms; the others have a timeout where
the scenario says so, or where they cannot do without.
★ best peer; ✗ did not finish, or no longer worked afterwards; – has no such thing. Peers: ${peers.join(', ')}.
`;
}

function mainTable(scenarios, results) {
  const columns = COLUMNS.filter((adapter) => scenarios.some(({ id }) => results.get(id).has(adapter)));
  const rows = scenarios.map(({ id, unit }) => {
    const cells = results.get(id);
    const best = COUNTS.includes(unit) ? undefined : bestPeer(cells);
    const shown = columns.map((adapter) => {
      const text = cellText(cells, adapter) + (adapter === best ? ' ★' : '');
      return adapter === 'ours' && text !== '–' ? `**${text}**` : text;
    });
    return [`${id} (${unit})`, ...shown, aheadText(cells, best)];
  });
  return table(['scenario', ...columns, 'ours ahead of ★'], rows);
}

function cellText(cells, adapter) {
  const cell = cells.get(adapter);
  if (cell?.failure !== undefined) return '✗';
  const figure = figureOf(cell);
  if (figure === undefined) return '–';
  const floor = figureOf(cells.get('floor'));
  const ratio = adapter === 'floor' || !(floor > 0) ? '' : ` (${(figure / floor).toFixed(2)})`;
  return `${digits(figure)}${ratio}${cell.flaw === undefined ? '' : ' ✗'}`;
}

function aheadText(cells, best) {
  const ours = figureOf(cells.get('ours'));
  return best === undefined || !(ours > 0) ? '–' : times(figureOf(cells.get(best)) / ours);
}

function failures(scenarios, results) {
  const lines = scenarios.flatMap(({ id }) =>
    [...results.get(id)].flatMap(([adapter, { failure, flaw }]) => {
      const what = failure ?? flaw;
      return what === undefined ? [] : [`- ✗ ${id}, ${adapter}: ${what}`];
    }),
  );
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

/** Each variant beside our pool as it comes, and what it adds. */
function priceTable(scenarios, results) {
  const variants = VARIANTS.filter((variant) => scenarios.some(({ id }) => results.get(id).has(variant)));
  const rows = scenarios
    .filter(({ id }) => variants.some((variant) => results.get(id).has(variant)))
    .map(({ id, unit }) => {
      const cells = results.get(id);
      const ours = figureOf(cells.get('ours'));
      const prices = variants.map((variant) => priceText(figureOf(cells.get(variant)), ours));
      return [`${id} (${unit})`, ours === undefined ? '–' : digits(ours), ...prices];
    });
  const histogram = figureOf(results.get('histogram-record')?.get('ours'));
  const note =
    histogram === undefined
      ? ''
      : `Histograms cannot be switched off: ${digits(histogram)} ns per record, two records per borrow and return.\n`;
  return `${table(['scenario', 'ours', ...variants], rows)}\n${note}`;
}

function priceText(figure, ours) {
  if (figure === undefined || ours === undefined) return '–';
  const added = figure - ours;
  return `${digits(figure)} (${added < 0 ? '−' : '+'}${digits(Math.abs(added))})`;
}

function targetTable(targets) {
  return table(
    ['scenario', 'must', 'against', 'ours', 'reached', ''],
    targets.map(({ scenario, rule, against, ours, reached, isReached }) => [
      scenario,
      rule,
      against === undefined ? '' : digits(against),
      ours === undefined ? '' : digits(ours),
      reached.toFixed(2),
      isReached ? 'pass' : '**miss**',
    ]),
  );
}

const list = (scenarios) => `${scenarios.map(({ id, what }) => `- **${id}**: ${what}`).join('\n')}\n`;

function table(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const rule = head.map((_, index) => (index === 0 ? '---' : '---:'));
  return `${[head, rule, ...rows].map(line).join('\n')}\n`;
}
