import { shapeOf } from '../../core/option-rules.js';
import { PoolOptionsError } from '../../core/pool-errors.js';
import { azureProfile } from './azure.profile.js';
import { bedrockProfile } from './bedrock.profile.js';
import { cohereProfile } from './cohere.profile.js';
import { geminiProfile } from './gemini.profile.js';
import { jinaProfile } from './jina.profile.js';
import { litellmProfile } from './litellm.profile.js';
import { mistralProfile } from './mistral.profile.js';
import { ollamaProfile } from './ollama.profile.js';
import { openaiProfile } from './openai.profile.js';
import type { EmbeddingLimits, EmbeddingProfile } from './profile.js';
import { checkEmbeddingProfile } from './profile-rules.js';
import { teiProfile } from './tei.profile.js';
import { DEFAULT_LIMITS, unknownProfile } from './unknown.profile.js';
import { vllmProfile } from './vllm.profile.js';
import { voyageProfile } from './voyage.profile.js';

const PROFILES = {
  openai: openaiProfile,
  azure: azureProfile,
  tei: teiProfile,
  ollama: ollamaProfile,
  vllm: vllmProfile,
  litellm: litellmProfile,
  voyage: voyageProfile,
  mistral: mistralProfile,
  cohere: cohereProfile,
  jina: jinaProfile,
  gemini: geminiProfile,
  bedrock: bedrockProfile(),
  unknown: unknownProfile,
} as const satisfies Record<string, EmbeddingProfile>;

/** The servers that are known by name. @publicApi */
export type EmbeddingProfileName = keyof typeof PROFILES;

/** A known profile with some of its members replaced. Limits are replaced one by one, all else as a whole. @publicApi */
export type EmbeddingProfileExtension = { readonly extends: EmbeddingProfileName } & Partial<EmbeddingProfile>;

/**
 * A profile of your own, or a known one with changes, checked.
 *
 * @throws PoolOptionsError naming everything that is wrong with it
 * @publicApi
 */
export function defineEmbeddingProfile(profile: EmbeddingProfile | EmbeddingProfileExtension): EmbeddingProfile {
  const { extends: parent, ...own } = givenOf(profile);
  const problems: string[] = parent === undefined ? [] : checkProfileName(parent, 'extends');
  const base = problems.length > 0 ? undefined : known(parent);
  problems.push(...checkEmbeddingProfile(parent === undefined ? profile : { name: base?.name ?? 'unknown', ...own }));
  if (problems.length > 0) throw new PoolOptionsError(nameOf(own.name), problems);
  return base === undefined ? (profile as EmbeddingProfile) : Object.freeze(extended(base, own));
}

function extended(base: EmbeddingProfile, own: Partial<EmbeddingProfile>): EmbeddingProfile {
  const limits = { ...base.limits, ...own.limits };
  if (own.limits === undefined || own.limitsOf !== undefined) return { ...base, ...own, limits };
  // The base's limits by model would go before the limits that were just given.
  return { ...base, ...own, limits, limitsOf: (model) => ({ ...base.limitsOf?.(model), ...own.limits }) };
}

/** Every problem of a profile that is wanted, in words. @internal */
export function checkWantedProfile(wanted: unknown, option = 'profile'): string[] {
  if (wanted === undefined) return [];
  return typeof wanted === 'string' ? checkProfileName(wanted, option) : checkEmbeddingProfile(wanted, `${option}.`);
}

/**
 * The profile that is wanted, or else the one that a server's URL tells of. vLLM, TEI and LiteLLM look like any other
 * server and are found by name alone.
 *
 * @throws PoolOptionsError if there is no profile of that name, or it is none
 * @internal
 */
export function profileFor(baseURL: URL, wanted: string | EmbeddingProfile | undefined): EmbeddingProfile {
  const problems = checkWantedProfile(wanted);
  if (problems.length > 0) throw new PoolOptionsError('embedding', problems);
  if (wanted !== undefined) return typeof wanted === 'string' ? known(wanted)! : wanted;
  const all: readonly EmbeddingProfile[] = Object.values(PROFILES);
  return all.find((profile) => profile.matches?.(baseURL)) ?? unknownProfile;
}

/** All limits of a profile for a model. @internal */
export function limitsOf(profile: EmbeddingProfile, model: string): EmbeddingLimits {
  return withLimits(withLimits(DEFAULT_LIMITS, profile.limits), profile.limitsOf?.(model));
}

/** Limits with others put over them; `undefined` leaves one as it is. @internal */
export function withLimits(limits: EmbeddingLimits, over: Partial<EmbeddingLimits> | undefined): EmbeddingLimits {
  const given = Object.entries(over ?? {}).filter(([, value]) => value !== undefined);
  return { ...limits, ...(Object.fromEntries(given) as Partial<EmbeddingLimits>) };
}

function known(name: string | undefined): EmbeddingProfile | undefined {
  return name !== undefined && Object.hasOwn(PROFILES, name) ? PROFILES[name as EmbeddingProfileName] : undefined;
}

function checkProfileName(name: unknown, option: string): string[] {
  if (typeof name === 'string' && known(name) !== undefined) return [];
  const names = Object.keys(PROFILES).join(', ');
  return [`${option}: expected one of ${names}, got ${shapeOf(name)}`];
}

/** `undefined` means "not given", here too: it takes nothing away from the profile that is extended. */
function givenOf(profile: unknown): Partial<EmbeddingProfileExtension> {
  if (typeof profile !== 'object' || profile === null) return {};
  return Object.fromEntries(Object.entries(profile).filter(([, value]) => value !== undefined));
}

function nameOf(name: unknown): string {
  return typeof name === 'string' && name !== '' ? name : 'embedding profile';
}
