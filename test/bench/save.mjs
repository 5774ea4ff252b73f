import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { format, getFileInfo, resolveConfig } from 'prettier';

/** Writes a result in the repository's own format, so that a committed one passes the format check. */
export async function save(path, text) {
  const { inferredParser } = await getFileInfo(path);
  const options = { ...(await resolveConfig(path)), parser: inferredParser };
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, inferredParser === null ? text : await format(text, options));
}
