import ts from 'typescript';
import type { Source } from './library-sources.js';

interface Place {
  /** Folders of lib/ that this one may import, besides itself. */
  readonly folders: readonly string[];
  /** Packages that it may import; Node's own are free. */
  readonly packages: readonly string[];
}

const nest = ['@nestjs/common', '@nestjs/core', 'reflect-metadata', 'rxjs'];
const kinds = ['http', 'postgres', 'mysql', 'redis'];

/**
 * Who may import whom: `core` ← kinds ← the embedding client ← its pgvector sink; `core` ← `nest` ← what builds on Nest. Siblings do not
 * know each other. A folder that is not here has no place yet, and the test says so.
 */
const PLACES: Record<string, Place> = {
  core: { folders: [], packages: [] },

  http: { folders: ['core'], packages: ['axios', 'proxy-from-env', 'undici'] },
  postgres: { folders: ['core'], packages: ['pg'] },
  mysql: { folders: ['core'], packages: ['mysql2'] },
  redis: { folders: ['core'], packages: ['ioredis'] },
  'embedding client': { folders: ['core', ...kinds], packages: ['axios', 'gpt-tokenizer', 'lru-cache'] },
  'embedding pgvector': {
    folders: ['core', 'postgres', 'embedding client'],
    packages: ['pg', 'pg-copy-streams'],
  },

  nest: { folders: ['core'], packages: nest },
  index: { folders: ['core', 'nest'], packages: [] },
  'embedding module': { folders: ['core', ...kinds, 'embedding client', 'nest'], packages: [...nest, 'axios'] },
  health: { folders: ['core', 'nest'], packages: [...nest, '@nestjs/terminus'] },
  metrics: { folders: ['core', 'nest'], packages: [...nest, '@opentelemetry/api', 'prom-client'] },
  dashboard: { folders: ['core', 'nest'], packages: nest },
  fleet: { folders: ['core', 'nest'], packages: [...nest, 'ioredis'] },
  testing: { folders: ['core', 'nest'], packages: nest },
  schematics: { folders: [], packages: ['typescript'] },
};

/** Folders without an entry point of their own: lib/index.ts has the one, Nest's CLI enters the other by collection.json. */
export const NOT_IMPORTED_BY_NAME = ['nest', 'schematics'];

export const MAX_LINES = 450;

/** In embedding/ the client is pure; the files whose names say so tie it to Nest. What writes to a database is an entry of its own. */
export function placeOf(path: string): string {
  if (!path.includes('/')) return 'index';
  const folder = path.slice(0, path.indexOf('/'));
  if (folder !== 'embedding') return folder;
  if (path.startsWith('embedding/pgvector/')) return 'embedding pgvector';
  return /(\.(module|service|tokens|decorator)|\/index)\.ts$/.test(path) ? 'embedding module' : 'embedding client';
}

/** Who may import this package: `http`, `embedding` … */
export function foldersThatMayImport(packageName: string): string[] {
  const places = Object.keys(PLACES).filter((place) => PLACES[place]!.packages.includes(packageName));
  return [...new Set(places.map((place) => place.replace(/ .*/, '')))];
}

export function importBreaches(source: Source): string[] {
  const place = placeOf(source.path);
  const allowed = PLACES[place];
  if (!allowed) return [`${source.path}: lib/${place} has no place in the architecture`];
  return source.imports
    .filter(({ package: name, file }) => {
      if (name !== undefined) return !name.startsWith('node:') && !allowed.packages.includes(name);
      return placeOf(file!) !== place && !allowed.folders.includes(placeOf(file!));
    })
    .map(({ specifier }) => `${source.path} imports ${specifier}`);
}

/** Reading the wall clock or setting a timer in core, past the pool's own clock. */
export function timeBreaches(source: Source): string[] {
  if (placeOf(source.path) !== 'core' || source.path === 'core/clock.ts') return [];
  const breaches = source.imports
    .filter(({ specifier }) => /^(node:)?timers/.test(specifier))
    .map(({ specifier }) => `${source.path} imports ${specifier}`);
  visit(source.tree, (node) => {
    if (isTimeOfDay(node) || isGlobalTimer(node)) breaches.push(`${whereIs(source, node)}: ${node.getText()}`);
  });
  return breaches;
}

export function defaultExportBreaches(source: Source): string[] {
  const breaches: string[] = [];
  visit(source.tree, (node) => {
    const isDefault =
      ts.isExportAssignment(node) ||
      (ts.isExportSpecifier(node) && node.name.text === 'default') ||
      (ts.canHaveModifiers(node) && ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword));
    if (isDefault) breaches.push(`${whereIs(source, node)}: ${node.getText().split('\n')[0]}`);
  });
  return breaches;
}

/** `Date.now`, `performance.now`, `new Date()`: not `new Date(something)`, which reads no clock. */
function isTimeOfDay(node: ts.Node): boolean {
  if (ts.isPropertyAccessExpression(node)) {
    return node.name.text === 'now' && /^(globalThis\.)?(Date|performance)$/.test(node.expression.getText());
  }
  return ts.isNewExpression(node) && node.expression.getText() === 'Date' && !node.arguments?.length;
}

/** `setTimeout(…)`, or the function handed on by its name; not `clock.setTimeout`, nor a member called so. */
function isGlobalTimer(node: ts.Node): boolean {
  if (!ts.isIdentifier(node) || !/^set(Timeout|Interval|Immediate)$/.test(node.text)) return false;
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return /^global(This)?$/.test(parent.expression.getText());
  if (ts.isCallExpression(parent) || ts.isShorthandPropertyAssignment(parent)) return true;
  return 'initializer' in parent && parent.initializer === node;
}

function visit(node: ts.Node, see: (node: ts.Node) => void): void {
  see(node);
  ts.forEachChild(node, (child) => visit(child, see));
}

function whereIs(source: Source, node: ts.Node): string {
  return `${source.path}:${source.tree.getLineAndCharacterOfPosition(node.getStart()).line + 1}`;
}
