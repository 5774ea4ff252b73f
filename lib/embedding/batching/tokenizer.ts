/** Counts the tokens of a text. @publicApi */
export type CountTokens = (text: string) => number;

type Encoding = 'cl100k_base';

/** What is used of gpt-tokenizer. Its own types are not named: whoever has not installed it need not have them either. */
interface EncodingModule {
  countTokens(this: void, text: string, options: { readonly disallowedSpecial: Set<string> }): number;
}

const ENCODINGS: ReadonlyMap<string, Encoding> = new Map([
  ['text-embedding-3-small', 'cl100k_base'],
  ['text-embedding-3-large', 'cl100k_base'],
  ['text-embedding-ada-002', 'cl100k_base'],
]);

/** `<|endoftext|>` in a text is what its letters are, and no reason to throw. */
const ALL_IS_TEXT = { disallowedSpecial: new Set<string>() };

/** Loads each encoding once; one that is not there is not asked for again. @internal */
export function tokenizerLoader(
  load: (encoding: Encoding) => Promise<EncodingModule>,
): (model: string, own?: CountTokens) => Promise<CountTokens | undefined> {
  const loading = new Map<Encoding, Promise<CountTokens | undefined>>();
  return async (model, own) => {
    if (own !== undefined) return own;
    // Gateways put the vendor's name first, as in `openai/text-embedding-3-small`.
    const encoding = ENCODINGS.get(model.slice(model.lastIndexOf('/') + 1));
    if (encoding === undefined) return undefined;
    let count = loading.get(encoding);
    if (count === undefined) {
      count = load(encoding).then(
        ({ countTokens }) =>
          (text: string) =>
            countTokens(text, ALL_IS_TEXT),
        // Not installed, or of a version without it: tokens are estimated then.
        () => undefined,
      );
      loading.set(encoding, count);
    }
    return count;
  };
}

/**
 * Exact counts by the optional package gpt-tokenizer, which takes 0.2 s and 60 MB when it is first asked for.
 *
 * @param own goes before it, as it is
 * @returns `undefined` where the package or the model's encoding is not there
 * @internal
 */
export const loadTokenizer: (model: string, own?: CountTokens) => Promise<CountTokens | undefined> = tokenizerLoader(
  () => import('gpt-tokenizer/encoding/cl100k_base'),
);
