import ts from 'typescript';
import type { SourceText } from './source-text.js';

/**
 * The source of main.ts with `app.enableShutdownHooks()`: the same if it has it, `undefined` if no place for it is found.
 *
 * @internal
 */
export function enableShutdownHooks(source: SourceText): string | undefined {
  const calls = (node: ts.Node): boolean =>
    (ts.isPropertyAccessExpression(node) && node.name.text === 'enableShutdownHooks') ||
    ts.forEachChild(node, calls) === true;
  if (calls(source.file)) return source.text;

  const find = (node: ts.Node): ts.VariableDeclaration | undefined =>
    ts.isVariableDeclaration(node) && ts.isIdentifier(node.name) && isMadeByNestFactory(node.initializer)
      ? node
      : ts.forEachChild(node, find);
  const app = find(source.file);
  const statement = app?.parent.parent;
  if (app === undefined || statement === undefined || !ts.isVariableStatement(statement)) return undefined;
  return source.apply([source.below(statement, `${app.name.getText()}.enableShutdownHooks();`)]);
}

/** `await NestFactory.create(AppModule)`, and its other makers. */
function isMadeByNestFactory(made: ts.Expression | undefined): boolean {
  if (made === undefined || !ts.isAwaitExpression(made) || !ts.isCallExpression(made.expression)) return false;
  const { expression: maker } = made.expression;
  return ts.isPropertyAccessExpression(maker) && maker.expression.getText() === 'NestFactory';
}
