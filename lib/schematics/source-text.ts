import ts from 'typescript';

/** A piece of a source to be replaced; none where `start` and `end` are the same. @internal */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** What Prettier takes where nobody tells it otherwise, as in a fresh application. */
const MAX_WIDTH = 80;

/**
 * A TypeScript source that is changed by edits of its text: all that is not edited stays to the letter.
 *
 * @internal
 */
export class SourceText {
  readonly file: ts.SourceFile;
  private readonly newLine: string;
  private readonly unit: string;

  constructor(
    readonly path: string,
    readonly text: string,
  ) {
    // TypeScript 7 is in use and has no such function: say so instead of "is not a function".
    if (typeof ts.createSourceFile !== 'function') {
      throw new Error(`typescript ${ts.version} cannot be called from a program; Nest's CLI and this need 5 or 6.`);
    }
    this.file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
    this.newLine = text.includes('\r\n') ? '\r\n' : '\n';
    this.unit = /^(\t| {2,})(?=\S)/m.exec(text)?.[1] ?? '  ';
  }

  apply(edits: readonly Edit[]): string {
    let [result, done] = ['', 0];
    for (const { start, end, text } of edits.toSorted((a, b) => a.start - b.start)) {
      result += this.text.slice(done, start) + text;
      done = end;
    }
    return result + this.text.slice(done);
  }

  /** Under which names the file knows what it imports as that name from there. */
  localNames(name: string, from: string): Set<string> {
    return new Set(
      this.namedImports(from)
        .flatMap(({ elements }) => [...elements])
        .filter((element) => (element.propertyName ?? element.name).text === name && !element.isTypeOnly)
        .map((element) => element.name.text),
    );
  }

  /** How this file writes the end of a relative import: `.js`, `.ts` or nothing; `undefined` if it has none to go by. */
  relativeImportEnding(): string | undefined {
    const relative = this.imports().find(({ moduleSpecifier }) => moduleSpecifierText(moduleSpecifier).startsWith('.'));
    if (relative === undefined) return undefined;
    return /\.m?[jt]s$/.exec(moduleSpecifierText(relative.moduleSpecifier))?.[0] ?? '';
  }

  /** Imports names, beside those that are imported from there already, else below the last import. */
  importing(from: string, names: readonly string[]): Edit[] {
    const missing = names.filter((name) => !this.localNames(name, from).has(name));
    if (missing.length === 0) return [];
    const last = this.namedImports(from).at(0)?.elements.at(-1);
    if (last !== undefined) return [insertion(last.getEnd(), missing.map((name) => `, ${name}`).join(''))];
    const line = `import { ${missing.join(', ')} } from '${from}';`;
    const end = this.imports().at(-1)?.getEnd();
    return [end === undefined ? insertion(0, line + this.newLine) : insertion(end, this.newLine + line)];
  }

  /** Adds items to the end of a list in brackets or braces: on its one line if they fit, else each on lines of its own. */
  appending(list: ts.ArrayLiteralExpression | ts.ObjectLiteralExpression, items: readonly string[]): Edit[] {
    const elements: ts.NodeArray<ts.Node> = ts.isArrayLiteralExpression(list) ? list.elements : list.properties;
    const [open, close] = [list.getStart() + 1, list.getEnd() - 1];
    const inside = this.text.slice(open, close);
    const outer = this.indentAt(list.getStart());
    const indent = outer + this.unit;
    const added = items.map((item) => this.newLine + this.indented(item, indent) + ',').join('');

    const isOnOneLine = !this.text.slice(open, elements.at(0)?.getStart() ?? close).includes('\n');
    if (isOnOneLine && !/\/[/*]/.test(inside)) {
      const there = elements.map((element) => element.getText());
      const line = [...there, ...items].join(', ');
      const column = open - this.lineStart(open);
      const fits = ts.isArrayLiteralExpression(list) && !line.includes('\n') && column + line.length + 2 <= MAX_WIDTH;
      const moved = there.map((element) => this.newLine + indent + element + ',').join('');
      return [{ start: open, end: close, text: fits ? line : moved + added + this.newLine + outer }];
    }
    // After whatever stands last, a comment included; the comma goes to the element itself.
    const end = open + inside.trimEnd().length;
    const needsComma = elements.length > 0 && !elements.hasTrailingComma;
    return [
      ...(needsComma ? [insertion(elements.at(-1)!.getEnd(), ',')] : []),
      { start: end, end: close, text: added + this.newLine + outer },
    ];
  }

  /** A line below the statement, indented alike. */
  below(statement: ts.Statement, line: string): Edit {
    const rest = /[^\r\n]*/.exec(this.text.slice(statement.getEnd()))![0];
    return insertion(statement.getEnd() + rest.length, this.newLine + this.indentAt(statement.getStart()) + line);
  }

  private imports(): ts.ImportDeclaration[] {
    return this.file.statements.filter(ts.isImportDeclaration);
  }

  private namedImports(from: string): ts.NamedImports[] {
    return this.imports().flatMap(({ importClause, moduleSpecifier }) => {
      const bindings = importClause?.namedBindings;
      const isMeant = moduleSpecifierText(moduleSpecifier) === from && !importClause?.isTypeOnly;
      return isMeant && bindings !== undefined && ts.isNamedImports(bindings) ? [bindings] : [];
    });
  }

  private indentAt(position: number): string {
    return /^[ \t]*/.exec(this.text.slice(this.lineStart(position)))![0];
  }

  private lineStart(position: number): number {
    return this.text.lastIndexOf('\n', position - 1) + 1;
  }

  /** The templates are written with two spaces. */
  private indented(item: string, indent: string): string {
    const lines = item.split('\n');
    return lines
      .map((line) => indent + line.replace(/^( {2})+/, (spaces) => this.unit.repeat(spaces.length / 2)))
      .join(this.newLine);
  }
}

function insertion(at: number, text: string): Edit {
  return { start: at, end: at, text };
}

function moduleSpecifierText(specifier: ts.Expression): string {
  return ts.isStringLiteral(specifier) ? specifier.text : '';
}
