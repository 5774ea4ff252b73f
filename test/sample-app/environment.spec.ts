import { EnvironmentError, readEnvironment } from '../../sample-app/config/environment.js';

describe('readEnvironment', () => {
  it('has a default for everything', () => {
    expect(readEnvironment({})).toEqual({
      PORT: 3000,
      EMBEDDINGS_MODEL: 'local-hash-384',
      EMBEDDINGS_MAX_CONNECTIONS: 8,
      DATABASE_MAX_CONNECTIONS: 5,
      DOCUMENTS_DIR: expect.stringMatching(/\/$/u),
    });
  });

  it('takes an empty variable for one that is not set', () => {
    expect(readEnvironment({ PORT: '', EMBEDDINGS_URL: '', EMBEDDINGS_API_KEY: '' })).toEqual(readEnvironment({}));
  });

  it('reads what is set, and nothing that is not its own', () => {
    const variables = {
      PORT: '0',
      EMBEDDINGS_URL: 'https://api.example.com/v1',
      EMBEDDINGS_API_KEY: 'sk-1',
      EMBEDDINGS_MODEL: 'text-embedding-3-small',
      EMBEDDINGS_MAX_CONNECTIONS: '20',
      DATABASE_URL: 'postgres://someone:secret@db.internal/documents',
      DATABASE_MAX_CONNECTIONS: '7',
      DOCUMENTS_DIR: '/tmp',
      HOME: '/root',
    };
    const { HOME: _home, ...own } = variables;
    expect(readEnvironment(variables)).toEqual({
      ...own,
      PORT: 0,
      EMBEDDINGS_MAX_CONNECTIONS: 20,
      DATABASE_MAX_CONNECTIONS: 7,
    });
  });

  it('names every variable that is wrong, and shows no value', () => {
    const secret = 'sk secret';
    const read = (): unknown =>
      readEnvironment({ PORT: secret, EMBEDDINGS_URL: secret, EMBEDDINGS_API_KEY: secret, DOCUMENTS_DIR: secret });
    expect(read).toThrow(EnvironmentError);
    expect(read).toThrow(
      expect.objectContaining({
        problems: ['PORT', 'EMBEDDINGS_URL', 'EMBEDDINGS_API_KEY', 'DOCUMENTS_DIR'].map((name) =>
          expect.stringMatching(`^${name}: expected .*, got a text of 9 characters with blanks in it\\.$`),
        ),
      }),
    );
    expect(read).not.toThrow('secret');
  });

  it.each(['1.5', '-1', '1e3', '65536', '12345678901234567890', 'NaN', ' '])('refuses PORT=%j', (PORT) => {
    expect(() => readEnvironment({ PORT })).toThrow('PORT: expected a whole number from 0 to 65535');
  });

  it.each(['mysql://host/db', 'db.internal', 'postgres//host'])('refuses DATABASE_URL=%j', (DATABASE_URL) => {
    expect(() => readEnvironment({ DATABASE_URL })).toThrow('DATABASE_URL: expected the URL of a PostgreSQL database');
  });

  it.each(['ftp://host', 'host:80', 'http://me@host', 'http://host/v1?key=1', 'http://host/#a', 'http://'])(
    'refuses EMBEDDINGS_URL=%j',
    (EMBEDDINGS_URL) => {
      expect(() => readEnvironment({ EMBEDDINGS_URL })).toThrow("EMBEDDINGS_URL: expected the API's base URL");
    },
  );
});
