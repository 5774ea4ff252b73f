import { chown, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Writes PEM texts where a server can read them, the key for it alone. With `ca` clients must show a certificate of it, or may. */
export async function writeTls(folder, { cert, key, ca }, user) {
  const files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem'), ca: ca && join(folder, 'ca.pem') };
  for (const [name, text] of Object.entries({ cert, key, ca })) {
    if (text === undefined) continue;
    await writeFile(files[name], text, { mode: 0o600 });
    if (user !== undefined) await chown(files[name], user.uid, user.gid);
  }
  return files;
}
