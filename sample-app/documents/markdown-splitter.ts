/** A piece of a document, small enough that its vector means something. */
export interface Section {
  /** The headings above it, outermost first: `README › Shutdown`. */
  readonly title: string;
  readonly text: string;
}

const SEPARATOR = ' › ';
/** Of a heading that somebody hid a novel in. */
const MAX_TITLE_LENGTH = 200;
const HEADING = /^ {0,3}(#{1,6})(?![^ \t])/u;
const FENCE = /^ {0,3}(`{3,}|~{3,})(.*)$/u;

/**
 * Cuts Markdown at its headings, and what is longer than `maxLength` at its paragraphs.
 *
 * @param name the document's own, with which every title begins; the one heading of the first level says the same again and is
 *   left out
 */
export function splitMarkdown(markdown: string, name: string, maxLength = 2_000): Section[] {
  return chaptersOf(markdown, name).flatMap(({ title, lines }) =>
    packed(blocksOf(lines), maxLength).map((text) => ({ title, text })),
  );
}

interface Chapter {
  readonly title: string;
  readonly lines: Line[];
}

interface Line {
  readonly text: string;
  /** In a fence, a blank line ends no paragraph and a `#` begins no heading. */
  readonly isCode: boolean;
}

function chaptersOf(markdown: string, name: string): Chapter[] {
  const lines = [...readLines(markdown)];
  const titles = lines.filter((line) => readHeading(line)?.level === 1);
  const path: string[] = [];
  let chapter: Chapter = { title: name, lines: [] };
  const chapters = [chapter];
  for (const line of lines) {
    const heading = readHeading(line);
    if (heading === undefined) {
      chapter.lines.push(line);
      continue;
    }
    // Levels that were skipped leave holes, which `filter` closes.
    path.length = Math.min(path.length, heading.level - 1);
    path[heading.level - 1] = titles.length === 1 && line === titles[0] ? '' : heading.title;
    chapter = { title: [name, ...path].filter(Boolean).join(SEPARATOR), lines: [] };
    chapters.push(chapter);
  }
  return chapters;
}

function readHeading({ text, isCode }: Line): { level: number; title: string } | undefined {
  const [start, marks] = (isCode ? null : HEADING.exec(text)) ?? [];
  if (start === undefined || marks === undefined) return undefined;
  return { level: marks.length, title: plainText(text.slice(start.length)) };
}

function* readLines(markdown: string): Generator<Line> {
  let fence: string | undefined;
  // A database's text holds no NUL, and a byte order mark is not part of the first heading.
  const clean = markdown.replaceAll(/\0|^\uFEFF/gu, '');
  for (const text of clean.split(/\r\n|\r|\n/u)) {
    const [, marks = '', info = ''] = FENCE.exec(text) ?? [];
    const isCode = fence !== undefined || isOpening(marks, info);
    yield { text, isCode };
    if (fence === undefined) fence = isCode ? marks : undefined;
    else if (marks.startsWith(fence) && info.trim() === '') fence = undefined;
  }
}

/** Backticks behind backticks are code within a line, no fence. */
function isOpening(marks: string, info: string): boolean {
  return marks !== '' && !(marks.startsWith('`') && info.includes('`'));
}

/** Paragraphs, lists, tables and fences, as one text each. */
function blocksOf(lines: readonly Line[]): string[] {
  const blocks: string[][] = [[]];
  for (const { text, isCode } of lines) {
    if (isCode || text.trim() !== '') blocks.at(-1)!.push(text);
    else blocks.push([]);
  }
  return blocks.map((block) => block.join('\n').trimEnd()).filter((block) => block.trim() !== '');
}

/** Puts as many blocks together as fit. */
function packed(blocks: readonly string[], maxLength: number): string[] {
  const texts: string[] = [];
  for (const block of blocks.flatMap((whole) => cut(whole, maxLength))) {
    const last = texts.at(-1);
    if (last !== undefined && last.length + 2 + block.length <= maxLength) {
      texts[texts.length - 1] = `${last}\n\n${block}`;
    } else {
      texts.push(block);
    }
  }
  return texts;
}

/** A block that is too long alone: cut at the ends of lines, else of sentences, else of words, else anywhere. */
function cut(block: string, maxLength: number): string[] {
  const pieces: string[] = [];
  let rest = block;
  while (rest.length > maxLength) {
    const window = rest.slice(0, maxLength + 1);
    // Not in its first half: a short piece says little.
    const places = [window.lastIndexOf('\n'), lastSentenceEnd(window), window.lastIndexOf(' ')];
    const place = places.find((index) => index > maxLength / 2) ?? betweenCharacters(rest, maxLength);
    pieces.push(rest.slice(0, place).trimEnd());
    // What follows a line break may be indented code.
    rest = rest.slice(place).replace(/^(?:\n+| +)/u, '');
  }
  pieces.push(rest);
  return pieces.filter((piece) => piece.trim() !== '');
}

function lastSentenceEnd(text: string): number {
  return Math.max(...['. ', '! ', '? '].map((end) => text.lastIndexOf(end))) + 1;
}

/** Half an emoji is none. */
function betweenCharacters(text: string, index: number): number {
  const isLowSurrogate = /^[\uDC00-\uDFFF]/u.test(text.slice(index, index + 1));
  return isLowSurrogate ? index - 1 : index;
}

/** A heading as it is read: without closing marks, backticks, stars and the addresses of links. */
function plainText(heading: string): string {
  const text = heading.trim().slice(0, MAX_TITLE_LENGTH);
  return text
    .replace(/(?:^|[ \t])#+$/u, '')
    .replaceAll(/!?\[([^\]]*)\]\([^)]*\)/gu, '$1')
    .replaceAll(/[`*]|<[^>]*>/gu, '')
    .trim();
}
