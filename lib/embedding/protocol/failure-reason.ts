import type { AnswerHeaders } from './retry-hints.js';

/** What a server says of its error, in whichever shape it says it. @internal */
export interface FailureReason {
  readonly message?: string | undefined;
  readonly code?: string | undefined;
  readonly type?: string | undefined;
  /** The field of the request that it is about. */
  readonly parameter?: string | undefined;
}

/** Validators like to send back what they were sent: a body beyond this is not worth holding the event loop for. */
const MAX_BODY = 1024 * 1024;

/**
 * Reads the body of an answer with an error status.
 *
 * OpenAI wraps its reason in `error`, and so do most; Gemini puts that into a list; TEI and Mistral are flat, or have the text
 * itself as `error`; FastAPI (Voyage, Jina) says `detail`; proxies send plain text, or pages, which hold no reason.
 *
 * @internal
 */
export function readReason(body: Buffer, headers: AnswerHeaders): FailureReason {
  if (body.length === 0 || body.length > MAX_BODY) return {};
  const text = body.toString('utf8').trim();
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    const isPlain = String(headers['content-type']).toLowerCase().startsWith('text/plain');
    return isPlain && !text.startsWith('<') ? { message: text } : {};
  }
  return reasonOf(answer, 3);
}

function reasonOf(answer: unknown, depth: number): FailureReason {
  if (depth === 0) return {};
  if (typeof answer === 'string') return { message: answer };
  if (Array.isArray(answer)) return reasonOf(answer[0], depth - 1);
  const outer = fieldsOf(answer);
  const { error } = outer;
  if (typeof error === 'string') {
    return { ...inner(outer, depth), message: error, type: wordOf(outer['error_type']) ?? wordOf(outer['type']) };
  }
  return typeof error === 'object' && error !== null ? inner(fieldsOf(error), depth) : inner(outer, depth);
}

function inner(fields: Record<string, unknown>, depth: number): FailureReason {
  // Mistral puts FastAPI's detail where the message should be.
  const message = textOf(fields['message']) ?? textOf(fields['Message']) ?? textOf(fields['msg']);
  const said: FailureReason = {
    message,
    code: wordOf(fields['code']),
    // Gemini has its word in `status`, Bedrock in `__type`.
    type: wordOf(fields['type']) ?? wordOf(fields['status']) ?? wordOf(fields['__type']),
    parameter: wordOf(fields['param']),
  };
  if (message !== undefined) return said;
  const nested = fields['message'] ?? fields['detail'];
  return nested === undefined ? said : { ...said, ...known(detailOf(nested, depth)) };
}

function detailOf(detail: unknown, depth: number): FailureReason {
  // A validator's list: the first entry stands for all. Its `input` holds what was sent and is left alone.
  const first = fieldsOf(Array.isArray(detail) ? detail[0] : detail);
  if (!Array.isArray(first['loc'])) return reasonOf(detail, depth - 1);
  const place = (first['loc'] as unknown[]).filter((step) => step !== 'body');
  return {
    message: [place.filter((step) => typeof step !== 'object').join('.'), textOf(first['msg'])]
      .filter(Boolean)
      .join(': '),
    type: wordOf(first['type']),
    parameter: wordOf(place[0]),
  };
}

function known(reason: FailureReason): FailureReason {
  return Object.fromEntries(Object.entries(reason).filter(([, value]) => value !== undefined));
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value.trim() !== '' ? value : undefined;
}

const WORD = /^[\w.$[\]:-]{1,64}$/;

/** A code or a name. Whatever else stands in such a field is not repeated; LiteLLM says `None` where it has none. */
function wordOf(value: unknown): string | undefined {
  const word = typeof value === 'number' ? String(value) : value;
  return typeof word === 'string' && WORD.test(word) && word !== 'None' && word !== 'null' ? word : undefined;
}
