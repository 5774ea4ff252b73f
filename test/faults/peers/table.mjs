import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import prettier from 'prettier';
import { POOLS } from './judge.mjs';

export const SYMBOLS = { ok: '✓', partial: '◐', fails: '✗', 'n/a': '–' };

const BEGIN = '<!-- faults:begin -->';
const END = '<!-- faults:end -->';

/** Everything that was seen, in words, and the table. */
export function print(rows) {
  for (const { fault, verdicts } of rows) {
    console.log(`${fault.id} ${fault.sentence}`);
    for (const [index, { is, saw }] of verdicts.entries()) {
      console.log(`    ${SYMBOLS[is]} ${POOLS[index].padEnd(15)} ${saw}`);
    }
  }
}

/** Puts the table between the marks of a Markdown file, formatted as the rest of it is. */
export async function writeTable(file, rows) {
  const { before, after } = await read(file);
  const text = `${before}\n\n${await tableOf(rows)}\n\n${after}`;
  await writeFile(file, await prettier.format(text, { ...(await prettier.resolveConfig(file)), filepath: file }));
}

/** Where the table of a file says something else: the rows and pools, with the symbol that stands there. */
export async function differences(file, rows) {
  const { between } = await read(file);
  const lines = between.split('\n').map((line) => line.split('|').map((cell) => cell.trim()));
  const heads = await Promise.all(POOLS.map(headOf));
  const columns = heads.map((head) => lines.find((cells) => cells.includes(head))?.indexOf(head) ?? -1);
  return rows.flatMap((row) => {
    const cells = lines.find((line) => line[1] === row.fault.id && line[2] === row.fault.sentence);
    const all = row.verdicts.map(({ is }, index) => ({ row, index, is, was: cells?.[columns[index]] }));
    return all.filter(({ is, was }) => was !== SYMBOLS[is]);
  });
}

async function read(file) {
  const text = await readFile(file, 'utf8');
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`${file} has no ${BEGIN} … ${END}`);
  const start = begin + BEGIN.length;
  return { before: text.slice(0, start), between: text.slice(start, end), after: text.slice(end) };
}

async function tableOf(rows) {
  const heads = await Promise.all(POOLS.map(headOf));
  const lines = rows.map(({ fault, verdicts }) => {
    return `| ${fault.id} | ${fault.sentence} | ${verdicts.map(({ is }) => SYMBOLS[is]).join(' | ')} |`;
  });
  return [`| | fault | ${heads.join(' | ')} |`, `|---|---|${POOLS.map(() => ':-:|').join('')}`, ...lines].join('\n');
}

/** A peer with its version: a new one may be better. */
async function headOf(pool, index) {
  if (index === 0) return pool;
  const path = fileURLToPath(new URL(`../../../node_modules/${pool}/package.json`, import.meta.url));
  return `${pool} ${JSON.parse(await readFile(path, 'utf8')).version}`;
}
