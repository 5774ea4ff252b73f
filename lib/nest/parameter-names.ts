/**
 * The names of a function's parameters, read off its source; `undefined` for one that has none, such as a pattern.
 *
 * @internal
 */
export function parameterNames(method: (...args: never[]) => unknown): readonly (string | undefined)[] {
  const source = Function.prototype.toString.call(method).replaceAll(COMMENTS, '');
  const list = source.slice(source.indexOf('(') + 1);
  return splitList(list).map(
    (parameter) => /^(?:\.\.\.)?\s*([\p{ID_Start}$_][\p{ID_Continue}$]*)/u.exec(parameter)?.[1],
  );
}

const COMMENTS = /\/\*[^]*?\*\/|\/\/.*$/gm;
const STRING = /^(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`(?:\\.|[^`\\])*`)/;

/** Splits at the commas that stand in no bracket and no string, up to the bracket that ends the list. */
function splitList(text: string): string[] {
  const parts: string[] = [];
  let part = '';
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at]!;
    const string = STRING.exec(text.slice(at))?.[0];
    if (string !== undefined) {
      part += string;
      at += string.length - 1;
      continue;
    }
    if ('([{'.includes(character)) depth += 1;
    if (')]}'.includes(character)) depth -= 1;
    const isEnd = depth < 0;
    if (isEnd || (depth === 0 && character === ',')) {
      if (part.trim() !== '') parts.push(part.trim());
      part = '';
    } else part += character;
    if (isEnd) break;
  }
  return parts;
}
