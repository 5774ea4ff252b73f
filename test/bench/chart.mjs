import { PEERS } from './adapters.mjs';
import { digits } from './figures.mjs';
import { figureOf } from './rounds.mjs';

/** What the chart shows: the title of each group, and how many nanoseconds per acquire one unit of its figure is. */
const GROUPS = {
  uncontended: { title: 'Uncontended: one borrower at a time', toNs: 1 },
  'contended-1k': { title: 'Contended: 1,000 tasks over 10 connections', toNs: 1 },
  'burst-1e4': { title: 'Burst: 10,000 acquires at once', toNs: 1 },
  'burst-1e5': { title: 'Burst: 100,000 acquires at once', toNs: 1 },
  'timeouts-1e5': { title: 'Storm: 100,000 waiters time out together', toNs: 10 },
  'big-all-borrowed': { title: '10,000 connections, all borrowed and returned', toNs: 1 },
};

const BARS = ['ours', ...PEERS];
const NAMES = { ours: 'nestjs-pools' };

const WIDTH = 840;
const LEFT = 150;
const RIGHT = 110;
const BAR = 13;
const STEP = 17;
const GROUP_HEAD = 26;
const GROUP_GAP = 14;
const TOP = 92;
const BOTTOM = 46;

const STYLE = `
    .card { fill: #ffffff; stroke: #d0d7de; }
    text { font: 12px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328; }
    .title { font-size: 17px; font-weight: 600; }
    .group { font-size: 13px; font-weight: 600; }
    .faint { fill: #59636e; font-size: 11px; }
    .grid { stroke: #d8dee4; stroke-width: 1; }
    .peer { fill: #a3adb8; }
    .ours { fill: #d6174a; }
    .own { font-weight: 600; }
    @media (prefers-color-scheme: dark) {
      .card { fill: #151b23; stroke: #3d444d; }
      text { fill: #f0f6fc; }
      .faint { fill: #9198a1; }
      .grid { stroke: #2f3742; }
      .peer { fill: #656c76; }
      .ours { fill: #f4446e; }
    }`;

/**
 * A bar chart on a logarithmic scale, the peers grey and ours red. It brings its own background, because the README is
 * read on white and on black.
 *
 * @param {import('./compare.mjs').Run} run
 * @returns {string} SVG
 */
export function chart({ environment, scenarios, results }) {
  const groups = scenarios
    .filter(({ id }) => id in GROUPS && figureOf(results.get(id).get('ours')) !== undefined)
    .map(({ id }) => ({ ...GROUPS[id], bars: barsOf(results.get(id), GROUPS[id].toNs) }));
  const scale = scaleFor(groups.flatMap(({ bars }) => bars.map(({ ns }) => ns)).filter((ns) => ns !== undefined));

  const parts = [];
  let y = TOP;
  for (const { title, bars } of groups) {
    parts.push(text(24, y + 12, title, 'group'));
    y += GROUP_HEAD;
    for (const bar of bars) {
      parts.push(barOf(bar, y, scale));
      y += STEP;
    }
    y += GROUP_GAP;
  }
  return svg(y + BOTTOM, [
    ...heading(environment),
    ...grid(scale, y - GROUP_GAP + 4),
    ...parts,
    ...foot(environment, y),
  ]);
}

function barsOf(cells, toNs) {
  const bars = BARS.filter((adapter) => cells.has(adapter)).map((adapter) => {
    const { failure, flaw } = cells.get(adapter);
    const figure = figureOf(cells.get(adapter));
    return { adapter, ns: figure === undefined ? undefined : figure * toNs, trouble: failure ?? flaw };
  });
  return bars.filter(({ ns, trouble }) => ns !== undefined || trouble !== undefined);
}

/** From the decade below the least to the decade above the most. */
function scaleFor(values) {
  const first = Math.floor(Math.log10(Math.min(...values)));
  const last = Math.ceil(Math.log10(Math.max(...values)));
  const perDecade = (WIDTH - LEFT - RIGHT) / (last - first);
  return { first, last, x: (ns) => LEFT + (Math.log10(ns) - first) * perDecade };
}

function barOf({ adapter, ns, trouble }, y, scale) {
  const isOurs = adapter === 'ours';
  const name = text(LEFT - 8, y + 10.5, NAMES[adapter] ?? adapter, isOurs ? 'own' : '', 'end');
  if (ns === undefined) return `${name}\n  ${text(LEFT + 6, y + 10.5, `✗ ${trouble}`, 'faint')}`;
  const end = scale.x(ns);
  const rect = `<rect class="${isOurs ? 'ours' : 'peer'}" x="${LEFT}" y="${y}" width="${(end - LEFT).toFixed(1)}" height="${BAR}" rx="2"/>`;
  const label = trouble === undefined ? duration(ns) : `${duration(ns)} ✗ ${trouble}`;
  return `${name}\n  ${rect}\n  ${text(end + 6, y + 10.5, label, isOurs ? 'own' : '')}`;
}

function heading({ rounds }) {
  return [
    text(24, 34, 'One acquire and release', 'title'),
    text(
      24,
      54,
      `Main-thread processor time per acquire, logarithmic: shorter is better. Median of ${rounds} rounds.`,
      'faint',
    ),
  ];
}

function grid({ first, last, x }, bottom) {
  const lines = [];
  for (let decade = first; decade <= last; decade += 1) {
    const at = x(10 ** decade).toFixed(1);
    lines.push(`<line class="grid" x1="${at}" y1="${TOP - 8}" x2="${at}" y2="${bottom}"/>`);
    lines.push(text(at, TOP - 14, duration(10 ** decade, true), 'faint', 'middle'));
  }
  return lines;
}

function foot({ date, node, cores, cpu, versions }, y) {
  const peers = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return [
    text(24, y + 10, peers.join(' · '), 'faint'),
    text(
      24,
      y + 27,
      `Node ${node} · ${cores} cores, ${cpu} · ${date} · nestjs-pools with its defaults, a 10 s timeout among them`,
      'faint',
    ),
  ];
}

function duration(ns, isRound = false) {
  const show = isRound ? String : digits;
  if (ns < 1_000) return `${show(ns)} ns`;
  return ns < 1_000_000 ? `${show(ns / 1_000)} µs` : `${show(ns / 1_000_000)} ms`;
}

function text(x, y, words, kind, anchor = 'start') {
  const safe = words.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x}" y="${y}"${kind === '' ? '' : ` class="${kind}"`} text-anchor="${anchor}">${safe}</text>`;
}

function svg(height, parts) {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="Processor time per acquire of nestjs-pools and of other pools">
  <style>${STYLE}
  </style>
  <rect class="card" x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="8"/>
  ${parts.join('\n  ')}
</svg>
`;
}
