export const API_KEY = 'sk-bench';
export const MODEL = 'text-embedding-3-small';

let made = 0;

/** Short, and never twice the same. */
export function nextText() {
  made += 1;
  return `how does a pool of connections behave under load, asked for the ${made}th time`;
}

export function nextTexts(count) {
  return Array.from({ length: count }, nextText);
}

/** @returns {Generator<string>} */
export function* textsInTurn(count) {
  for (let index = 0; index < count; index += 1) yield nextText();
}
