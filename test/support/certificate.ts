import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

/** What it is for: `DNS:…` and `IP:…`, as openssl writes them. */
const HERE = ['IP:127.0.0.1', 'DNS:localhost'];
const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];

/** An authority that signs certificates; made anew by the machine's openssl. */
export class Authority {
  private constructor(
    readonly ca: string,
    private readonly key: string,
  ) {}

  static make(): Authority {
    return inFolder(({ openssl, read }) => {
      const itself = ['-subj', '/CN=test authority', '-days', '2'];
      openssl('req', '-x509', ...NEW_KEY, '-nodes', '-keyout', 'ca.key', '-out', 'ca.pem', ...itself);
      return new Authority(read('ca.pem'), read('ca.key'));
    });
  }

  /** A certificate for names, by default those of this machine; its key is locked when a passphrase is given. */
  issue(names: readonly string[] = HERE, commonName = '127.0.0.1', passphrase?: string): Certificate {
    return inFolder(({ openssl, read, write }) => {
      write('ca.pem', this.ca);
      write('ca.key', this.key);
      write('names', `subjectAltName=${names.join(',')}`);
      const lock = passphrase === undefined ? ['-nodes'] : ['-passout', `pass:${passphrase}`];
      openssl('req', ...NEW_KEY, ...lock, '-keyout', 'key.pem', '-out', 'request.pem', '-subj', `/CN=${commonName}`);
      const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'names'];
      openssl('x509', '-req', '-in', 'request.pem', ...signed, '-out', 'cert.pem', '-days', '2');
      return { key: read('key.pem'), cert: read('cert.pem') };
    });
  }
}

/** A certificate for 127.0.0.1, signed by an authority of its own. */
export function makeCertificate(): { ca: string; key: string; cert: string } {
  const authority = Authority.make();
  return { ca: authority.ca, ...authority.issue() };
}

/** Certificate and key in one file, locked. */
export function bundle({ key, cert }: Certificate, passphrase: string): Buffer {
  return inFolder(({ openssl, write, folder }) => {
    write('key.pem', key);
    write('cert.pem', cert);
    const files = ['-inkey', 'key.pem', '-in', 'cert.pem', '-out', 'bundle.p12'];
    openssl('pkcs12', '-export', ...files, '-passout', `pass:${passphrase}`);
    return readFileSync(join(folder, 'bundle.p12'));
  });
}

interface Folder {
  readonly folder: string;
  readonly openssl: (...args: string[]) => void;
  readonly read: (name: string) => string;
  readonly write: (name: string, text: string) => void;
}

function inFolder<R>(work: (folder: Folder) => R): R {
  const folder = mkdtempSync(join(tmpdir(), 'nestjs-pools-tls-'));
  try {
    return work({
      folder,
      openssl: (...args) => void execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' }),
      read: (name) => readFileSync(join(folder, name), 'utf8'),
      write: (name, text) => writeFileSync(join(folder, name), text),
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
