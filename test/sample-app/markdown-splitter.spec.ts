import { splitMarkdown } from '../../sample-app/documents/markdown-splitter.js';

const lines = (...texts: string[]): string => texts.join('\n');

describe('splitMarkdown', () => {
  it('cuts at headings and names each section by the path that leads to it', () => {
    const markdown = lines(
      '# The title',
      'Before.',
      '## Shutdown',
      'It drains.',
      '### Signals',
      'SIGTERM.',
      '## Limits',
      'Twenty.',
    );
    expect(splitMarkdown(markdown, 'README')).toEqual([
      { title: 'README', text: 'Before.' },
      { title: 'README › Shutdown', text: 'It drains.' },
      { title: 'README › Shutdown › Signals', text: 'SIGTERM.' },
      { title: 'README › Limits', text: 'Twenty.' },
    ]);
  });

  it('keeps the headings of the first level where there are several', () => {
    const titles = splitMarkdown(lines('# One', 'a', '## Two', 'b', '# Three', 'c'), 'Notes').map(({ title }) => title);
    expect(titles).toEqual(['Notes › One', 'Notes › One › Two', 'Notes › Three']);
  });

  it('takes text without a heading as it is', () => {
    expect(splitMarkdown('Just a note.', 'Note')).toEqual([{ title: 'Note', text: 'Just a note.' }]);
  });

  it('closes the gap where a level was skipped', () => {
    expect(splitMarkdown(lines('## A', '#### B', 'text', '### C', 'more'), 'x').map(({ title }) => title)).toEqual([
      'x › A › B',
      'x › A › C',
    ]);
  });

  it('leaves out sections without text, and documents without any', () => {
    expect(splitMarkdown(lines('# A', '', '## B', '  ', '## C'), 'x')).toEqual([]);
    expect(splitMarkdown('', 'x')).toEqual([]);
  });

  it.each([
    ['closing marks', '## Errors ##', 'Errors'],
    ['code', '## The `use()` method', 'The use() method'],
    ['a link', '## See [the docs](https://example.com)', 'See the docs'],
    ['stars', '## **Very** important', 'Very important'],
    ['up to three blanks', '   ## Indented', 'Indented'],
    ['a mark that belongs to it', '## C#', 'C#'],
  ])('reads a heading with %s', (_what, heading, title) => {
    expect(splitMarkdown(lines(heading, 'text'), 'x')).toEqual([{ title: `x › ${title}`, text: 'text' }]);
  });

  it.each([
    ['no blank after the marks', '#hashtag'],
    ['seven marks', '####### deep'],
    ['four blanks before', '    # code'],
  ])('takes for text what only looks like a heading: %s', (_what, line) => {
    expect(splitMarkdown(lines('a', '', line), 'x')).toEqual([{ title: 'x', text: `a\n\n${line}` }]);
  });

  it.each([
    ['backticks', '```sh', '```'],
    ['tildes', '~~~', '~~~~'],
    ['a longer fence around a shorter one', '````md', '````'],
  ])('keeps fenced code with its section, and its comments are no headings: %s', (_what, open, close) => {
    const code = [open, '# install', '```', '', 'npm ci', '```'].filter((line) => open !== '```sh' || line !== '```');
    const markdown = lines('## Setup', 'First:', ...code, close, '## Next', 'b');
    const [setup, next] = splitMarkdown(markdown, 'x');
    expect(setup!.text).toContain('# install');
    expect(setup!.text).toContain('npm ci');
    expect(next).toEqual({ title: 'x › Next', text: 'b' });
  });

  it('takes a fence that is never closed to the end', () => {
    expect(splitMarkdown(lines('```', '# not', 'a'), 'x')).toEqual([{ title: 'x', text: lines('```', '# not', 'a') }]);
  });

  it('reads lines of Windows, and a byte order mark', () => {
    expect(splitMarkdown('\uFEFF# T\r\nhello\r\n\r\n## A\r\nworld', 'x')).toEqual([
      { title: 'x', text: 'hello' },
      { title: 'x › A', text: 'world' },
    ]);
  });

  it('cuts a long section at its paragraphs, and puts as many together as fit', () => {
    const paragraphs = ['a', 'b', 'c', 'd', 'e'].map((letter) => letter.repeat(30));
    const texts = splitMarkdown(paragraphs.join('\n\n'), 'x', 70).map(({ text }) => text);
    expect(texts).toEqual([
      `${paragraphs[0]}\n\n${paragraphs[1]}`,
      `${paragraphs[2]}\n\n${paragraphs[3]}`,
      paragraphs[4],
    ]);
  });

  it.each([
    ['lines', Array.from({ length: 50 }, (_none, index) => `  step(${index});`).join('\n')],
    ['sentences', 'It is so. It is not so. '.repeat(30)],
    ['words', 'word '.repeat(100)],
    ['nothing to cut at', 'x'.repeat(500)],
    ['emoji', '🚀'.repeat(250)],
  ])('cuts a paragraph that is too long alone, and loses nothing: %s', (_what, text) => {
    const texts = splitMarkdown(text, 'x', 99).map((section) => section.text);
    expect(texts.length).toBeGreaterThan(3);
    expect(texts.every((piece) => piece.length <= 99 && Buffer.from(piece).toString() === piece)).toBe(true);
    expect(texts.join('').replaceAll(/\s/gu, '')).toBe(text.replaceAll(/\s/gu, ''));
  });

  it('is quick with what a pattern could choke on', () => {
    const blank = ' '.repeat(300_000);
    for (const text of [`#${blank}x`, `# a${blank}#x`, '#'.repeat(300_000), '[('.repeat(150_000), `x${blank}y`]) {
      const startedAt = performance.now();
      splitMarkdown(`${text}\n## ${text}`, 'x');
      expect(performance.now() - startedAt).toBeLessThan(500);
    }
  });
});
