import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chown, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PREFIX = 'nestjs-pools-server-';

/** A new folder for one server. The owner's process id is in its name, so that a later run can clear up after a killed one. */
export async function makeFolder(user) {
  await removeOrphans();
  const folder = await mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`));
  if (user !== undefined) await chown(folder, user.uid, user.gid);
  return folder;
}

export function removeFolder(folder) {
  return rm(folder, { recursive: true, force: true });
}

async function removeOrphans() {
  for (const name of await readdir(tmpdir())) {
    const owner = name.startsWith(PREFIX) ? Number(name.slice(PREFIX.length).split('-')[0]) : NaN;
    // One that several runs clear up at once may be half gone, or belong to another user.
    if (owner > 0 && !isRunning(owner)) await removeFolder(join(tmpdir(), name)).catch(() => undefined);
  }
}

function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/**
 * A fresh data folder costs a second or more, a copy of one a tenth of that. The first run on a machine makes the copy that
 * all later ones start from; several at once make one each, and the first to end wins.
 */
export async function template(name, user, make) {
  const finished = join(tmpdir(), `nestjs-pools-template-${name}-${user?.uid ?? process.getuid?.()}`);
  if (existsSync(finished)) return finished;
  const folder = await makeFolder(user);
  await make(folder);
  await rename(folder, finished).catch(async (error) => {
    if (!existsSync(finished)) throw error;
    await removeFolder(folder);
  });
  return finished;
}

/** With owners and modes, and without a copy of the bytes where the file system can share them. */
export function copyFolder(from, to) {
  execFileSync('cp', process.platform === 'linux' ? ['-a', '--reflink=auto', from, to] : ['-Rp', from, to]);
}

/** Who runs a server that refuses to run as root: its own user where there is one. `undefined`: whoever runs the test. */
export async function unprivilegedUser(...names) {
  if (process.getuid?.() !== 0) return undefined;
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  for (const name of [...names, 'nobody']) {
    const entry = lines.find(([login]) => login === name);
    if (entry !== undefined) return { uid: Number(entry[2]), gid: Number(entry[3]) };
  }
  throw new Error('no user to run a server as');
}
