import ts from 'typescript';
import type { SourceText } from './source-text.js';

/** Something for the `imports` of a module. @internal */
export interface Registration {
  /** The name that tells whether it is there already. */
  readonly symbol: string;
  readonly from: string;
  /** What else the code needs from there. */
  readonly also?: readonly string[];
  /** The entry itself. */
  readonly code: string;
}

/** @internal */
export interface Wanted {
  readonly registrations: readonly Registration[];
  /** What to do where the module is not one that can be changed safely. */
  readonly cure: string;
}

/**
 * The source of a module with those registrations in its `imports`; those that are there stay as they are.
 *
 * @throws for a source in which they would have no certain place
 * @internal
 */
export function register(source: SourceText, wanted: Wanted): string {
  const metadata = moduleMetadata(source, wanted);
  const list = importsOf(source, metadata, wanted);
  const missing = wanted.registrations.filter(({ symbol, from }) => {
    const names = source.localNames(symbol, from);
    return !list?.elements.some((element) => mentions(element, names));
  });
  if (missing.length === 0) return source.text;

  const entries = missing.map(({ code }) => code);
  const added =
    list === undefined
      ? source.appending(metadata, [`imports: [\n${entries.map((code) => `${indent(code)},`).join('\n')}\n]`])
      : source.appending(list, entries);
  const imported = missing.flatMap(({ symbol, from, also = [] }) => source.importing(from, [...also, symbol]));
  return source.apply([...imported, ...added]);
}

function moduleMetadata(source: SourceText, wanted: Wanted): ts.ObjectLiteralExpression {
  const modules = source.file.statements.filter(ts.isClassDeclaration).flatMap((declaration) => {
    const calls = (ts.getDecorators(declaration) ?? []).map(({ expression }) => expression).filter(ts.isCallExpression);
    const call = calls.find(({ expression }) => ts.isIdentifier(expression) && expression.text === 'Module');
    return call === undefined ? [] : [{ declaration, call }];
  });
  // A root module may have helpers in its file; it is the one that others import.
  const exported = modules.filter(
    ({ declaration }) => ts.getCombinedModifierFlags(declaration) & ts.ModifierFlags.Export,
  );
  const [only, ...others] = exported.length > 0 ? exported : modules;
  if (only === undefined) throw misunderstood(source, 'it has no class with @Module', wanted);
  if (others.length > 0) throw misunderstood(source, 'it has several modules', wanted);
  const [metadata] = only.call.arguments;
  if (metadata !== undefined && ts.isObjectLiteralExpression(metadata)) return metadata;
  throw misunderstood(source, '@Module() is not given an object literal', wanted);
}

function importsOf(
  source: SourceText,
  { properties }: ts.ObjectLiteralExpression,
  wanted: Wanted,
): ts.ArrayLiteralExpression | undefined {
  const imports = properties.find(({ name }) => name !== undefined && 'text' in name && name.text === 'imports');
  if (imports === undefined) {
    // An `imports` beside a spread would take the place of the spread one's.
    if (!properties.some(ts.isSpreadAssignment)) return undefined;
    throw misunderstood(source, 'the spread in @Module() may have `imports` that cannot be seen from here', wanted);
  }
  if (ts.isPropertyAssignment(imports) && ts.isArrayLiteralExpression(imports.initializer)) return imports.initializer;
  throw misunderstood(source, 'the `imports` of @Module() are no list in brackets', wanted);
}

function mentions(node: ts.Node, names: ReadonlySet<string>): boolean {
  return (
    (ts.isIdentifier(node) && names.has(node.text)) || ts.forEachChild(node, (one) => mentions(one, names)) === true
  );
}

function misunderstood({ path }: SourceText, what: string, { registrations, cure }: Wanted): Error {
  const byHand = registrations.map(
    ({ symbol, from, also = [], code }) => `import { ${[...also, symbol].join(', ')} } from '${from}';\n${code},`,
  );
  return new Error(`${path}: ${what}, so nothing was changed. ${cure}\n\n${byHand.join('\n\n')}`);
}

function indent(code: string): string {
  return code.replaceAll(/^/gm, '  ');
}
