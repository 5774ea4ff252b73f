import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

/** The repository's root, as seen from this file and from what is compiled of it. */
const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));
/** The one model that the sample's own upstream knows. */
const OWN_MODEL = 'local-hash-384';

const EnvironmentSchema = z
  .object({
    PORT: wholeNumber(0, 65_535, '0 takes any free port').default(3000),
    EMBEDDINGS_URL: z
      .string()
      .refine(isBaseURL, says(`the API's base URL, such as https://api.example.com/v1`))
      .optional(),
    EMBEDDINGS_API_KEY: z
      .string()
      .regex(/^[\x21-\x7e]+$/u, says('the key alone: without quotes, blanks or line breaks'))
      .optional(),
    EMBEDDINGS_MODEL: z.string().regex(/^\S+$/u, says("the model's name, without blanks")).default(OWN_MODEL),
    EMBEDDINGS_MAX_CONNECTIONS: wholeNumber(1, 1_000, 'so many requests are made at once').default(8),
    DATABASE_URL: z
      .string()
      .refine(
        isPostgresURL,
        says('the URL of a PostgreSQL database, such as postgres://user:password@host:5432/database'),
      )
      .optional(),
    DATABASE_MAX_CONNECTIONS: wholeNumber(1, 1_000, 'so many clients the database has of us').default(5),
    DOCUMENTS_DIR: z.string().refine(isFolder, says('a folder that exists and may be read')).default(REPOSITORY),
  })
  .refine(({ EMBEDDINGS_URL, EMBEDDINGS_MODEL }) => EMBEDDINGS_URL !== undefined || EMBEDDINGS_MODEL === OWN_MODEL, {
    path: ['EMBEDDINGS_MODEL'],
    error: `expected ${OWN_MODEL}, the only model of the sample's own upstream; set EMBEDDINGS_URL to use another server's`,
  });

/** What the sample takes from its environment, checked. */
export type Environment = z.infer<typeof EnvironmentSchema>;

/** Settings that cannot work, each with its name and what was expected. Holds no value: it could be a key in the wrong place. */
export class EnvironmentError extends Error {
  override readonly name = 'EnvironmentError';

  constructor(readonly problems: readonly string[]) {
    super(`The environment does not fit:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
  }
}

/**
 * Reads the settings. An empty variable counts as one that is not set, as in `PORT= npm start`.
 *
 * @throws {@link EnvironmentError} naming every variable that is wrong
 */
export function readEnvironment(variables: Record<string, unknown>): Environment {
  const given = Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== ''));
  const result = EnvironmentSchema.safeParse(given);
  if (result.success) return result.data;
  throw new EnvironmentError(
    result.error.issues.map(({ path, message }) => {
      const name = String(path[0]);
      return `${name}: ${message}, got ${shapeOf(given[name])}.`;
    }),
  );
}

function wholeNumber(least: number, most: number, meaning: string) {
  const error = says(`a whole number from ${least} to ${most} (${meaning})`);
  return z
    .string()
    .regex(/^\d{1,9}$/u, error)
    .transform(Number)
    .pipe(z.number().min(least, error).max(most, error));
}

function says(expected: string): { error: string } {
  return { error: `expected ${expected}` };
}

function isBaseURL(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password, search, hash } = new URL(text);
  return /^https?:$/u.test(protocol) && `${username}${password}${search}${hash}` === '';
}

function isPostgresURL(text: string): boolean {
  return URL.canParse(text) && /^postgres(ql)?:$/u.test(new URL(text).protocol);
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function shapeOf(value: unknown): string {
  if (typeof value !== 'string') return 'nothing';
  if (/^\d+$/u.test(value)) return `a number of ${counted(value.length, 'digit')}`;
  const blanks = /\s/u.test(value) ? ' with blanks in it' : '';
  return `a text of ${counted(value.length, 'character')}${blanks}`;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
