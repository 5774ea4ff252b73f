import type { EmbeddingFailureKind } from 'nestjs-pools/embedding';
import type { DialectName } from '../../support/embedding-server.js';
import { closeRigs, errorOf, failure, KEY, kindOf, NAMES, Rig, viewsOf } from './rig.js';

afterEach(closeRigs);

type Case = [
  status: number,
  message: string,
  code: string | undefined,
  kind: EmbeddingFailureKind,
  headers?: Record<string, string>,
];

/** What all of them say alike. */
const COMMON: Case[] = [
  [401, 'Incorrect API key provided', undefined, 'auth'],
  [404, 'The model does not exist', undefined, 'config'],
  [413, 'Payload too large', undefined, 'too-long'],
  [429, 'Too many requests', undefined, 'rate-limit'],
  [502, 'Bad gateway', undefined, 'transient'],
  [503, 'Service unavailable', undefined, 'transient'],
  [501, 'Not implemented', undefined, 'refused'],
];

const OWN: Partial<Record<DialectName, Case[]>> = {
  openai: [
    [429, 'You exceeded your current quota', 'insufficient_quota', 'quota'],
    [429, 'Rate limit reached for requests', 'rate_limit_exceeded', 'rate-limit'],
    [400, "This model's maximum context length is 8192 tokens", 'context_length_exceeded', 'too-long'],
    [400, "'$.input' is invalid. Please check the API reference", undefined, 'input'],
    [400, 'This model does not support specifying dimensions.', undefined, 'unsupported'],
  ],
  azure: [
    [400, 'The response was filtered', 'content_filter', 'input'],
    [404, 'The API deployment for this resource does not exist', 'DeploymentNotFound', 'config'],
  ],
  tei: [
    [429, 'Model is overloaded', 'overloaded', 'rate-limit'],
    [422, 'inputs must have less than 512 tokens. Given: 600', 'Validation', 'too-long'],
    [422, '`inputs` cannot be empty', 'Validation', 'input'],
    [424, 'Inference failed', 'Inference', 'poisoned'],
    [422, 'batch size 33 > maximum allowed batch size 32', 'Validation', 'config'],
  ],
  ollama: [
    [500, 'failed to encode response: json: unsupported value: NaN', undefined, 'poisoned'],
    [503, 'server busy, please try again. maximum pending requests exceeded', undefined, 'transient'],
    [400, 'the input length exceeds the context length', undefined, 'too-long'],
    [404, 'model "m" not found, try pulling it first', undefined, 'config'],
  ],
  vllm: [
    [400, "This model's maximum context length is 512 tokens", 'BadRequestError', 'too-long'],
    [400, 'Model does not support matryoshka representation, changing output dimensions', undefined, 'unsupported'],
  ],
  litellm: [
    [400, 'litellm.UnsupportedParamsError: does not support parameters: dimensions', undefined, 'unsupported'],
    [500, 'litellm.ContextWindowExceededError: too many', undefined, 'too-long'],
    [400, 'Budget has been exceeded! Current cost: 10', undefined, 'quota'],
    [400, 'Invalid model name passed in model=m', undefined, 'config'],
  ],
  voyage: [[400, 'The max allowed tokens per submitted batch is 120000', undefined, 'too-long']],
  mistral: [[400, 'Too many tokens in batch. Max is 16384', '3210', 'too-long']],
  cohere: [
    [429, 'You are using a Trial key, which is limited to 1000 API calls / month', undefined, 'quota'],
    [429, 'You are using a Trial key, which is limited to 40 API calls / minute', undefined, 'rate-limit'],
    [498, 'blocked', undefined, 'input'],
  ],
  jina: [
    [403, 'Insufficient account balance', undefined, 'quota'],
    [400, 'Input text exceeds the largest allowed size', undefined, 'too-long'],
  ],
  gemini: [
    [429, 'You exceeded your current quota, please check your plan', undefined, 'rate-limit'],
    [400, 'API key not valid. Please pass a valid API key.', undefined, 'auth'],
  ],
  bedrock: [
    [400, 'Too many input tokens. Max input tokens: 8192, request input token count: 9000', undefined, 'too-long'],
    [424, 'The model failed', undefined, 'transient'],
    [400, 'no more', undefined, 'quota', { 'x-amzn-errortype': 'ServiceQuotaExceededException:http://x' }],
    [429, 'Too many requests', undefined, 'rate-limit', { 'x-amzn-errortype': 'ThrottlingException' }],
  ],
  'flat-error': [[429, 'overloaded', 'overloaded', 'rate-limit']],
};

/** Answers that are no error by themselves, each of which some of those servers has given. */
const SHAPELESS: [string, string][] = [
  ['an empty body', ''],
  ['HTML', '<html><body>Bad gateway</body></html>'],
  ['half of JSON', '{"error": {"mess'],
  ['JSON that is no object', '"down"'],
];

const TEXT = 'a private thought that must not be logged';

describe.each(NAMES)('an error of a server of the kind "%s"', (name) => {
  it.each([...COMMON, ...(OWN[name] ?? [])])(
    '%i "%s" %s is of the kind "%s"',
    async (status, message, code, kind, headers = {}) => {
      const rig = await Rig.start(name, { options: { retry: false, dimensions: 8 } });
      rig.server.script = () => ({ error: [status, message, code], headers });
      const error = await failure(rig.service.embed(TEXT));
      expect(error).toMatchObject({ status });
      expect(kindOf(error)).toBe(kind);
      // One that is out of quota, or has had enough, is left alone for a while.
      if (kind !== 'quota' && kind !== 'rate-limit') await rig.isSaneAgain([TEXT]);
      expect(rig.pool.stats().activeConnections).toBe(0);
    },
  );

  it('tells neither the text nor the key that it quotes, in whatever shape it quotes them', async () => {
    const rig = await Rig.start(name, { options: { retry: false, breaker: false } });
    for (const status of [400, 401, 422, 500, 429]) {
      rig.server.script = () => ({
        error: [status, `cannot embed "${TEXT}" with ${KEY} or ${KEY.slice(0, 10)}***${KEY.slice(-4)}`, TEXT],
      });
      expect(viewsOf(await failure(rig.service.embed(TEXT)))).not.toMatch(/private thought|planted|sk-pla/);
      // After the last of them nothing is sent for a while.
      if (status === 429) break;
      const [outcome] = await rig.service.embedMany([TEXT], { settle: true });
      expect(viewsOf(errorOf(outcome)!)).not.toMatch(/private thought|planted|sk-pla/);
    }
  });

  it.each(SHAPELESS)('is understood by its status where there is %s in it', async (_what, raw) => {
    const rig = await Rig.start(name, { options: { retry: false } });
    rig.server.script = () => ({ raw, status: 503, headers: { 'content-type': 'text/html' } });
    expect(kindOf(await failure(rig.service.embed(TEXT)))).toBe('transient');
    rig.server.script = () => ({ raw, status: 401 });
    expect(kindOf(await failure(rig.service.embed(TEXT)))).toBe('auth');
    await rig.isSaneAgain([TEXT]);
  });
});
