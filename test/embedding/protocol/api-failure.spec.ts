import fc from 'fast-check';
import { inspect } from 'node:util';
import type { EmbeddingApiError } from '../../../lib/embedding/embedding-errors.js';
import { profileFor } from '../../../lib/embedding/profiles/profile-registry.js';
import { readApiFailure } from '../../../lib/embedding/protocol/api-failure.js';

interface Given {
  readonly status?: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string | string[] | undefined>>;
  readonly profile?: string;
  readonly texts?: readonly string[];
  readonly inputs?: number;
  readonly redact?: (text: string) => string;
}

const TEXTS = ['alpha '.repeat(10), 'beta '.repeat(10)];
const WITHHELD = 'its reason quotes an input and is withheld';

function failure({ status = 400, body = '', headers = {}, profile = 'unknown', ...given }: Given): EmbeddingApiError {
  const { texts = TEXTS, inputs = texts.length, redact = (text) => text } = given;
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  const server = profileFor(new URL('http://localhost/'), profile);
  return readApiFailure({ status, headers, body: bytes, requestId: 'req-1', inputs }, server, texts, redact, () => 0);
}

const wrapped = (message: string, more: object = {}): object => ({
  error: { message, type: 'invalid_request_error', ...more },
});

describe('the kind of an error', () => {
  it.each<[string, number, unknown, string]>([
    [
      'splittable',
      400,
      wrapped('Requested 453357 tokens, max 300000 tokens per request', { code: 'max_tokens_per_request' }),
      'openai',
    ],
    [
      'splittable',
      400,
      wrapped("Invalid 'input': array too long. Expected an array with maximum length 2048", { param: 'input' }),
      'openai',
    ],
    [
      'too-long',
      400,
      wrapped("This model's maximum context length is 8192 tokens, however you requested 9000 tokens"),
      'openai',
    ],
    ['input', 400, wrapped("'$.input' is invalid. Please check the API reference"), 'openai'],
    ['auth', 401, wrapped('Incorrect API key provided', { code: 'invalid_api_key' }), 'openai'],
    ['auth', 403, wrapped('Country not supported'), 'openai'],
    ['config', 404, wrapped('The model does not exist', { code: 'model_not_found' }), 'openai'],
    ['splittable', 413, '', 'openai'],
    ['rate-limit', 429, wrapped('Rate limit reached', { type: 'tokens', code: 'rate_limit_exceeded' }), 'openai'],
    [
      'quota',
      429,
      wrapped('You exceeded your current quota', { type: 'insufficient_quota', code: 'insufficient_quota' }),
      'openai',
    ],
    ['quota', 429, wrapped('No credit', { type: 'insufficient_quota', code: 'credit_balance_exhausted' }), 'openai'],
    ['quota', 429, wrapped('No credit', { code: 'credit_balance_exhausted' }), 'openai'],
    ['quota', 402, { detail: 'Insufficient balance' }, 'unknown'],
    ['refused', 400, wrapped('You did something else wrong'), 'openai'],
    ['config', 307, '', 'unknown'],
    ['input', 400, wrapped('filtered', { code: 'content_filter' }), 'azure'],
    ['config', 404, { error: { code: 'DeploymentNotFound', message: 'no' } }, 'azure'],
    ['rate-limit', 429, { message: 'Model is overloaded', code: 429, type: 'overloaded' }, 'tei'],
    [
      'splittable',
      422,
      { message: 'batch size 64 > maximum allowed batch size 32', code: 422, type: 'validation' },
      'tei',
    ],
    [
      'too-long',
      422,
      {
        error: 'Input validation error: `inputs` must have less than 512 tokens. Given: 534',
        error_type: 'Validation',
      },
      'tei',
    ],
    ['input', 400, { message: '`inputs` cannot be empty', code: 400, type: 'empty' }, 'tei'],
    ['input', 422, { message: 'something else', type: 'validation' }, 'tei'],
    ['poisoned', 424, { message: 'inference failed', type: 'backend' }, 'tei'],
    [
      'poisoned',
      500,
      { error: { message: 'failed to encode response: json: unsupported value: NaN', type: 'api_error' } },
      'ollama',
    ],
    ['transient', 500, { error: { message: 'llama runner process has terminated', type: 'api_error' } }, 'ollama'],
    ['transient', 503, { error: 'server busy, please try again. maximum pending requests exceeded' }, 'ollama'],
    [
      'too-long',
      400,
      { object: 'error', message: "This model's maximum context length is 512 tokens.", code: 400 },
      'vllm',
    ],
    [
      'too-long',
      500,
      wrapped('input (534 tokens) is too large to process. increase the physical batch size'),
      'unknown',
    ],
    [
      'splittable',
      400,
      {
        object: 'error',
        message: 'Too many tokens in batch. Max is 16384 got 17555',
        type: 'invalid_request_error',
        code: null,
      },
      'mistral',
    ],
    ['splittable', 400, { object: 'error', message: 'no', type: 'x', code: '3210' }, 'mistral'],
    ['splittable', 400, { object: 'error', message: 'no', type: 'x', code: 3210 }, 'mistral'],
    [
      'splittable',
      400,
      { detail: "Request to model 'voyage-3-large' failed. The max allowed tokens per submitted batch is 120000." },
      'voyage',
    ],
    [
      'splittable',
      400,
      { message: 'invalid request: total number of texts must be at most 96 - received 100' },
      'cohere',
    ],
    ['quota', 429, { message: 'You are using a Trial key, which is limited to 1000 API calls / month.' }, 'cohere'],
    [
      'rate-limit',
      429,
      { message: 'You are using a Trial key, which is limited to 100 API calls / minute.' },
      'cohere',
    ],
    ['splittable', 400, { detail: 'input length is larger than the largest allowed size 2048' }, 'jina'],
    ['too-long', 400, { detail: 'Single text cannot exceed 8192 tokens. 9237 tokens given.' }, 'jina'],
    [
      'splittable',
      400,
      [
        {
          error: {
            code: 400,
            message: '* BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch',
            status: 'INVALID_ARGUMENT',
          },
        },
      ],
      'gemini',
    ],
    [
      'rate-limit',
      429,
      [{ error: { code: 429, message: 'You exceeded your current quota', status: 'RESOURCE_EXHAUSTED' } }],
      'gemini',
    ],
    [
      'auth',
      400,
      [
        {
          error: { code: 400, message: 'API key not valid. Please pass a valid API key.', status: 'INVALID_ARGUMENT' },
        },
      ],
      'gemini',
    ],
    [
      'too-long',
      400,
      { error: { message: 'litellm.BadRequestError: ContextWindowExceededError: ...', code: '400' } },
      'litellm',
    ],
    ['transient', 424, { message: 'The model failed' }, 'bedrock'],
    [
      'too-long',
      400,
      { message: 'Malformed input request: expected maxLength: 50000, actual: 60000, please reformat' },
      'bedrock',
    ],
    [
      'input',
      422,
      { detail: [{ loc: ['body', 'input', 3], msg: 'must be a string', type: 'type_error', input: 7 }] },
      'unknown',
    ],
    ['config', 422, { message: 'Model Not Found' }, 'unknown'],
  ])('is %s for %i %j', (kind, status, body, profile) => {
    expect(failure({ status, body, profile }).kind).toBe(kind);
  });

  it.each([408, 409, 425, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529])('is transient for a bare %i', (status) => {
    expect(failure({ status })).toMatchObject({ kind: 'transient', retryable: true });
  });

  it('is not transient for 501', () => {
    expect(failure({ status: 501 })).toMatchObject({ kind: 'refused', retryable: false });
  });

  it('is too-long, not splittable, where the request has a single text', () => {
    expect(failure({ status: 413, texts: ['a'.repeat(50)] }).kind).toBe('too-long');
    expect(
      failure({ body: { object: 'error', message: 'no', code: 3210 }, profile: 'mistral', texts: ['long'] }).kind,
    ).toBe('too-long');
  });

  it.each<[unknown, string | undefined]>([
    [
      wrapped("litellm.UnsupportedParamsError: vertex_ai does not support parameters: ['encoding_format']"),
      'encoding_format',
    ],
    [wrapped('Unknown field: encoding_format'), 'encoding_format'],
    [wrapped('no', { param: 'encoding_format' }), 'encoding_format'],
    [
      {
        detail: [{ loc: ['body', 'encoding_format'], msg: 'Extra inputs are not permitted', type: 'extra_forbidden' }],
      },
      'encoding_format',
    ],
    [{ detail: "Value 'float' supplied for argument 'encoding_format' is not valid" }, 'encoding_format'],
    [{ detail: 'embedding_type base64 is not supported' }, 'encoding_format'],
    [wrapped('This model does not support specifying dimensions.'), 'dimensions'],
    [
      {
        object: 'error',
        message:
          'Model "m" does not support matryoshka representation, changing output dimensions will lead to poor results.',
      },
      'dimensions',
    ],
    [wrapped('dimensions is currently not supported'), 'dimensions'],
    [{ message: 'output_dimension is not allowed for this model' }, 'dimensions'],
    [wrapped('json: unknown field "user"'), 'user'],
  ])('is unsupported for %j, and names the field', (body, parameter) => {
    expect(failure({ body })).toMatchObject({ kind: 'unsupported', parameter, retryable: false });
  });

  it('is too-long, whatever the server advises against it', () => {
    const advice =
      'does not fit into the context window. Please lower the number of too many tokens, or set input_type or truncation';
    expect(failure({ body: { detail: advice }, profile: 'voyage' }).kind).toBe('too-long');
  });

  it("is no text's fault where TEI does not take a field", () => {
    const headers = { 'content-type': 'text/plain' };
    const body = 'Failed to deserialize the JSON body: encoding_format: unknown variant `x`';
    expect(failure({ status: 422, headers, body, profile: 'tei' })).toMatchObject({
      kind: 'unsupported',
      parameter: 'encoding_format',
    });
    const flat = { message: '`dimensions` must not be above the maximum', type: 'validation' };
    expect(failure({ status: 422, body: flat, profile: 'tei' })).toMatchObject({
      kind: 'unsupported',
      parameter: 'dimensions',
    });
  });

  it('knows which field LiteLLM does not pass on, whatever the status', () => {
    const body = wrapped("UnsupportedParamsError: bedrock does not support parameters: {'encoding_format': 'base64'}");
    expect(failure({ body, profile: 'litellm' })).toMatchObject({ kind: 'unsupported', parameter: 'encoding_format' });
    expect(failure({ status: 500, body, profile: 'litellm' })).toMatchObject({
      kind: 'unsupported',
      parameter: 'encoding_format',
    });
  });
});

describe('what an error says', () => {
  it.each<[unknown, string]>([
    [wrapped('Wrapped'), 'Wrapped'],
    [{ message: 'Flat', code: 422 }, 'Flat'],
    [{ error: 'TEI', error_type: 'Backend' }, 'TEI'],
    [{ detail: 'FastAPI' }, 'FastAPI'],
    [{ detail: [{ loc: ['body', 'input', 0], msg: 'List', type: 't', input: 'x' }] }, 'input.0: List'],
    [{ object: 'error', message: { detail: [{ loc: ['body', 'model'], msg: 'Nested', type: 't' }] } }, 'model: Nested'],
    [[{ error: { code: 400, message: 'Gemini', status: 'INVALID_ARGUMENT' } }], 'Gemini'],
    [{ Message: 'AWS' }, 'AWS'],
  ])('is read from %j', (body, message) => {
    expect(failure({ body }).message).toContain(`request req-1: ${message}`);
  });

  it.each(['', '<html><body>502</body></html>', 'no json', '{"error":', '[]', 'null', '7', '{"error":{}}'])(
    'is nothing where the body is %j',
    (body) => {
      expect(failure({ status: 502, body }).message).toContain('no reason given');
    },
  );

  it('is read from plain text where it is called so, but not from a page', () => {
    const headers = { 'content-type': 'text/plain; charset=utf-8' };
    expect(failure({ status: 413, headers, body: 'length limit exceeded' }).message).toContain('length limit exceeded');
    expect(failure({ status: 502, headers, body: '<h1>Bad</h1>' }).message).toContain('no reason given');
  });

  it("holds the server's code, but not its status a second time, and no code that is none", () => {
    expect(failure({ body: wrapped('m', { code: 'some_code' }) }).apiCode).toBe('some_code');
    expect(failure({ body: { message: 'm', code: 400, type: 'BadRequestError' } }).apiCode).toBe('BadRequestError');
    expect(failure({ body: wrapped('m', { code: 'a sentence, not a code', type: null }) }).apiCode).toBeUndefined();
    expect(failure({ body: { title: 'm', detail: 'd', status: 400 } }).apiCode).toBeUndefined();
    expect(failure({ body: wrapped('m', { code: 'None', type: 'None' }) }).apiCode).toBeUndefined();
  });

  it('is one line of 300 characters at most', () => {
    const { message } = failure({ body: wrapped(`first\r\nsecond\u0007 ${'long '.repeat(200)}`) });
    const words = message.slice(message.indexOf('first'));
    expect(words).toMatch(/^first second long .*…$/);
    expect(words.length).toBeLessThanOrEqual(300);
  });

  it('holds no key', () => {
    const redact = (text: string): string => text.replaceAll('my-key', '***');
    const error = failure({ body: wrapped('Wrong key my-key', { code: 'my-key', type: null }), redact });
    expect(inspect(error, { depth: Infinity, showHidden: true })).not.toContain('my-key');
    expect(error.message).toContain('Wrong key ***');
  });

  it('comes with the hints of when to try again', () => {
    const error = failure({
      status: 429,
      body: wrapped('Please try again in 7m12s'),
      headers: { 'retry-after': ['20'], 'x-should-retry': 'false' },
    });
    expect(error).toMatchObject({ kind: 'rate-limit', retryAfterMs: 20_000, retryable: false });
    expect(
      failure({ status: 429, body: { message: 'overloaded', type: 'overloaded' }, profile: 'tei' }).retryAfterMs,
    ).toBeUndefined();
  });

  it('is lost beyond a megabyte of body, and the kind is not', () => {
    expect(failure({ status: 422, body: wrapped('x'.repeat(1024 * 1024)) })).toMatchObject({ kind: 'input' });
  });
});

describe('a message that quotes an input', () => {
  const text = 'The patient "Jane Doe"\nwas born in Zürich on the 1st of May and lives there.';

  it.each<[string, string]>([
    ['the whole of it', text],
    ['its beginning', text.slice(0, 24)],
    ['its middle', text.slice(20, 44)],
    ['its end', text.slice(-24)],
    ['as JSON', JSON.stringify(text)],
    ['as JSON in JSON', JSON.stringify(JSON.stringify(text))],
    ['a part, as ASCII', JSON.stringify(text).replaceAll('ü', '\\u00fc').slice(28, 62)],
    ['as Python writes it', `'${text.replaceAll('\n', '\\n').replaceAll('ü', '\\xfc').slice(20, 56)}'`],
  ])('is withheld: %s', (_what, quotation) => {
    const { message } = failure({ body: wrapped(`Cannot embed ${quotation} now`), texts: ['other', text] });
    expect(message).toContain(WITHHELD);
  });

  it('is kept where fewer characters are alike', () => {
    const { message } = failure({ body: wrapped(`Cannot embed ${text.slice(25, 48)}|`), texts: [text] });
    expect(message).toContain(text.slice(25, 48));
  });

  it('is withheld for a short text as a whole, if it has more than three characters', () => {
    expect(failure({ body: wrapped('bad input: Jane'), texts: [' Jane\n'] }).message).toContain(WITHHELD);
    expect(failure({ body: wrapped('bad input: the'), texts: ['the'] }).message).toContain('bad input: the');
    expect(failure({ body: wrapped('bad input: Jane'), texts: ['Jane Doe'] }).message).toContain('bad input: Jane');
  });

  it('is withheld where the quotation begins at the end of what is kept', () => {
    const { message } = failure({ body: wrapped(`${'-'.repeat(270)} ${text}`), texts: [text] });
    expect(message).toContain(WITHHELD);
  });

  it('counts in the code too', () => {
    const secret = 'c2VjcmV0LW1lZGljYWwtcmVjb3Jk';
    expect(
      failure({ body: wrapped('m', { code: secret, type: null }), texts: [`a ${secret} b`] }).apiCode,
    ).toBeUndefined();
    expect(failure({ body: wrapped('m', { code: 'Jane', type: null }), texts: ['Jane'] }).apiCode).toBeUndefined();
  });

  it('is found wherever it stands, in whatever form', () => {
    const forms: ((part: string) => string)[] = [
      (part) => part,
      (part) => JSON.stringify(part),
      (part) => JSON.stringify(JSON.stringify(part)),
    ];
    const letters = fc.string({
      unit: fc.constantFrom('a', 'b', 'ä', '"', '\\', '\n', '日', ' '),
      minLength: 24,
      maxLength: 80,
    });
    fc.assert(
      fc.property(
        letters,
        fc.nat(),
        fc.constantFrom(...forms),
        fc.string({ maxLength: 60 }),
        (input, from, form, before) => {
          const start = from % (input.length - 23);
          const body = wrapped(`${before}${form(input.slice(start, start + 24))}`);
          expect(failure({ body, texts: ['another text', input] }).message).toContain(WITHHELD);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it('withholds rather than to compare for long where texts and message are all alike', () => {
    const texts = Array.from({ length: 100 }, () => '-'.repeat(30_000));
    const body = wrapped(`${'-'.repeat(20)} x `.repeat(20));
    expect(failure({ body, texts }).message).toContain(WITHHELD);
  });
});
