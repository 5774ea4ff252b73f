import type { EmbeddingRequest } from '../../../lib/embedding/profiles/profile.js';
import { unknownProfile } from '../../../lib/embedding/profiles/unknown.profile.js';
import { requestBody } from '../../../lib/embedding/protocol/request-body.js';

const REQUEST: EmbeddingRequest = {
  model: 'm',
  texts: ['a "b"', 'c\n'],
  dimensions: undefined,
  inputType: 'query',
  encoding: undefined,
  truncate: false,
  extraBody: undefined,
};

describe('requestBody', () => {
  it('says only what was asked for: no null, no field without need', () => {
    expect(requestBody(unknownProfile, REQUEST)).toBe('{"model":"m","input":["a \\"b\\"","c\\n"]}');
  });

  it('asks for base64 and dimensions as OpenAI has them', () => {
    const body = JSON.parse(
      requestBody(unknownProfile, { ...REQUEST, encoding: 'base64', dimensions: 512 }),
    ) as unknown;
    expect(body).toEqual({ model: 'm', input: REQUEST.texts, encoding_format: 'base64', dimensions: 512 });
  });

  it("lets the caller's own fields go before the profile's, and take one out", () => {
    const profile = { ...unknownProfile, body: () => ({ q: 1, input_type: 'query', truncate: true }) };
    const extraBody = { input_type: 'classification', truncate: undefined, user: 'u' };
    expect(requestBody(profile, { ...REQUEST, extraBody })).toBe('{"q":1,"input_type":"classification","user":"u"}');
  });
});
