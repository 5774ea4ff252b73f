import type { EmbeddingProfile } from '../../../lib/embedding/profiles/profile.js';
import {
  checkWantedProfile,
  defineEmbeddingProfile,
  type EmbeddingProfileExtension,
  limitsOf,
  profileFor,
} from '../../../lib/embedding/profiles/profile-registry.js';
import type { PoolOptionsError } from '../../../lib/core/pool-errors.js';

const nameFor = (url: string, wanted?: string): string => profileFor(new URL(url), wanted).name;

function problemsOf(work: () => unknown): readonly string[] {
  try {
    work();
  } catch (error) {
    return (error as PoolOptionsError).problems;
  }
  throw new Error('it was taken');
}

describe('profileFor', () => {
  it.each([
    ['https://api.openai.com/v1/', 'openai'],
    ['https://eu.api.openai.com/v1/', 'openai'],
    ['https://me.openai.azure.com/openai/deployments/d/?api-version=2024-10-21', 'azure'],
    ['https://me.openai.azure.com/openai/v1/', 'azure'],
    ['https://me.cognitiveservices.azure.com/openai/v1/', 'azure'],
    ['https://me.services.ai.azure.com/openai/v1/', 'azure'],
    ['https://api.voyageai.com/v1/', 'voyage'],
    ['https://ai.mongodb.com/v1/', 'voyage'],
    ['https://api.mistral.ai/v1/', 'mistral'],
    ['https://api.cohere.com/v2/', 'cohere'],
    ['https://api.cohere.com/compatibility/v1/', 'unknown'],
    ['https://api.jina.ai/v1/', 'jina'],
    ['https://generativelanguage.googleapis.com/v1beta/openai/', 'gemini'],
    ['https://bedrock-runtime.eu-central-1.amazonaws.com/', 'bedrock'],
    ['https://bedrock-runtime-fips.us-east-1.amazonaws.com/', 'bedrock'],
    ['http://localhost:11434/v1/', 'ollama'],
    ['http://localhost:8000/v1/', 'unknown'],
    ['https://api.openai.com.evil.example/v1/', 'unknown'],
    ['https://notopenai.azure.com/', 'unknown'],
    ['https://bedrock-runtime.eu-central-1.amazonaws.com.evil.example/', 'unknown'],
  ])('knows %s as %s', (url, name) => {
    expect(nameFor(url)).toBe(name);
  });

  it('takes what is wanted before what the URL tells', () => {
    const own: EmbeddingProfile = { name: 'own' };
    expect(nameFor('http://localhost:11434/v1/', 'vllm')).toBe('vllm');
    expect(profileFor(new URL('https://api.openai.com/v1'), own)).toBe(own);
  });

  it('refuses a name that it does not know, with those that it does', () => {
    const problems = problemsOf(() => nameFor('http://localhost/', 'toString'));
    expect(problems).toEqual([
      'profile: expected one of openai, azure, tei, ollama, vllm, litellm, voyage, mistral, cohere, jina, gemini, bedrock, unknown, got a text',
    ]);
    expect(checkWantedProfile('tei')).toEqual([]);
    expect(checkWantedProfile(undefined)).toEqual([]);
    expect(checkWantedProfile({ name: 'x', pth: 1 }, 'endpoints.0.profile')).toEqual([
      'endpoints.0.profile.pth: no such option',
    ]);
  });
});

describe('limitsOf', () => {
  it('fills in what a profile does not say', () => {
    expect(limitsOf({ name: 'own', limits: { maxInputs: 7 } }, 'm')).toEqual({
      maxInputs: 7,
      maxTokens: 240_000,
      maxInputTokens: Infinity,
      maxBytes: 8_000_000,
      maxInFlightInputs: Infinity,
      maxConcurrency: Infinity,
    });
  });

  it('lets the model go before the profile, and undefined before nothing', () => {
    const profile: EmbeddingProfile = {
      name: 'own',
      limits: { maxInputs: 7, maxTokens: 9 },
      limitsOf: (model) => (model === 'big' ? { maxInputs: 70, maxTokens: undefined as unknown as number } : {}),
    };
    expect(limitsOf(profile, 'big')).toMatchObject({ maxInputs: 70, maxTokens: 9 });
    expect(limitsOf(profile, 'small')).toMatchObject({ maxInputs: 7, maxTokens: 9 });
  });

  it.each([
    ['openai', 'text-embedding-3-small', { maxInputs: 256, maxTokens: 240_000, maxInputTokens: 8_192 }],
    ['azure', 'deployment', { maxInputs: 256, maxTokens: 240_000 }],
    ['tei', 'm', { maxInputs: 32, maxBytes: 1_900_000, maxInFlightInputs: 256 }],
    ['ollama', 'm', { maxInputs: 32, maxConcurrency: 2 }],
    ['vllm', 'm', { maxInputs: 128 }],
    ['voyage', 'voyage-3-large', { maxInputs: 128, maxTokens: 100_000 }],
    ['voyage', 'voyage-3.5-lite', { maxInputs: 128, maxTokens: 800_000 }],
    ['voyage', 'voyage-4', { maxTokens: 260_000 }],
    ['mistral', 'mistral-embed', { maxInputs: 32, maxTokens: 14_000 }],
    ['cohere', 'embed-v4.0', { maxInputs: 96, maxInputTokens: 128_000 }],
    ['cohere', 'embed-english-v3.0', { maxInputs: 96, maxInputTokens: 512 }],
    ['jina', 'jina-embeddings-v3', { maxInputs: 128 }],
    ['gemini', 'gemini-embedding-001', { maxInputs: 100 }],
    ['gemini', 'models/gemini-embedding-2', { maxInputs: 1 }],
    ['bedrock', 'amazon.titan-embed-text-v2:0', { maxInputs: 1 }],
    ['bedrock', 'eu.cohere.embed-v4:0', { maxInputs: 96 }],
    ['unknown', 'm', { maxInputs: 64 }],
  ])('has those of %s for %s', (name, model, limits) => {
    expect(limitsOf(profileFor(new URL('http://localhost/'), name), model)).toMatchObject(limits);
  });
});

describe('defineEmbeddingProfile', () => {
  it('extends a known profile, limit by limit', () => {
    const profile = defineEmbeddingProfile({ extends: 'tei', name: 'gpu', limits: { maxInputs: 8 }, probe: undefined });
    expect(profile.name).toBe('gpu');
    expect(limitsOf(profile, 'm')).toMatchObject({ maxInputs: 8, maxBytes: 1_900_000 });
    expect(profile.probe).toEqual({ method: 'GET', path: '/health' });
    expect(defineEmbeddingProfile({ extends: 'tei' }).name).toBe('tei');
  });

  it("puts limits that were given over the known profile's limits by model", () => {
    const profile = defineEmbeddingProfile({ extends: 'gemini', limits: { maxInputs: 50 } });
    expect(limitsOf(profile, 'gemini-embedding-2')).toMatchObject({ maxInputs: 50, maxInputTokens: 8_192 });
  });

  it('keeps an own profile as it is, methods and all', () => {
    class Own implements EmbeddingProfile {
      readonly name = 'own';
      path(): string {
        return `${this.name}/embed`;
      }
    }
    const own = new Own();
    expect(defineEmbeddingProfile(own)).toBe(own);
  });

  it('names every problem at once, and no value', () => {
    const wrong = {
      extends: 'opnai',
      limits: { maxInputs: 0, maxInput: 1 },
      encoding: 'base64',
      body: 'secret',
      probe: { method: 'POST' },
      discover: { path: '/info' },
      firstRequestPatience: 0,
    } as unknown as EmbeddingProfileExtension;
    expect(problemsOf(() => defineEmbeddingProfile(wrong))).toEqual([
      expect.stringMatching(/^extends: expected one of openai, .*, unknown, got a text$/),
      "encoding: expected 'auto' or 'never', got a text",
      'body: expected a function, got a text',
      'firstRequestPatience: expected a number from 1, got another number',
      'limits.maxInputs: expected a whole number from 1, or Infinity, got another number',
      'limits.maxInput: no such option (did you mean maxInputs?)',
      "probe.method: expected 'GET' or 'HEAD', got a text",
      'probe.path: expected a text that is not empty, got nothing',
      'discover.read: expected a function, got nothing',
    ]);
  });

  it.each([undefined, null, 'openai', 7, []])('refuses %j', (wrong) => {
    expect(problemsOf(() => defineEmbeddingProfile(wrong as unknown as EmbeddingProfile))).toHaveLength(1);
  });

  it('asks for a name', () => {
    expect(problemsOf(() => defineEmbeddingProfile({} as EmbeddingProfile))).toEqual([
      'name: expected a text that is not empty, got nothing',
    ]);
  });
});
