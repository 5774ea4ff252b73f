import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import { SampleProcess, until } from '../support/sample-process.js';
import { TempDocuments } from '../support/temp-documents.js';

const CHROMIUM = '/usr/bin/chromium';
const hasChromium = existsSync(CHROMIUM);
const isRequired = process.env['REQUIRE_SERVICES'] === '1';

if (!hasChromium && !isRequired) {
  console.warn(`The page is NOT tested: there is no ${CHROMIUM} (Debian: apt-get install chromium).`);
}

/** Without these, Chromium asks for hosts of its own, which is noise in a closed network. */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

(hasChromium || isRequired ? describe : describe.skip)('the page', () => {
  let documents: TempDocuments;
  let sample: SampleProcess;
  let profile: string;
  let browser: BrowserContext;
  let page: Page;
  /** What no page of ours may do: complain, break, or ask another host. */
  let complaints: string[];

  beforeAll(async () => {
    documents = await TempDocuments.with({
      'README.md': '# Pools\n\n## Shutdown\n\nOn SIGTERM the pool drains.\n\n## Limits\n\nAt most twenty connections.',
      'odd.md': '# Odd\n\n<img src=x onerror="document.title = \'hacked\'"> peculiar markup <b>here</b>',
    });
    profile = await mkdtemp(join(tmpdir(), 'nestjs-pools-chromium-'));
    [sample, browser] = await Promise.all([
      SampleProcess.start({ DOCUMENTS_DIR: documents.folder }),
      chromium.launchPersistentContext(profile, { executablePath: CHROMIUM, headless: true, args: FLAGS }),
    ]);
  }, 40_000);

  afterAll(async () => {
    await browser?.close();
    await sample?.stop();
    await documents?.remove();
    await rm(profile, { recursive: true, force: true });
  });

  beforeEach(async () => {
    complaints = [];
    page = await browser.newPage();
    page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('request', (request) => {
      if (new URL(request.url()).origin !== sample.url) complaints.push(`another host: ${request.url()}`);
    });
  });
  afterEach(async () => {
    await page.close();
    expect(complaints).toEqual([]);
  });

  it('finds sections for a question that is typed, and shows where they are from', async () => {
    await page.goto(sample.url);
    await page.getByLabel('Your question').fill('how do I stop it gracefully');
    await page.keyboard.press('Enter');
    const best = page
      .getByRole('listitem')
      .filter({ has: page.getByRole('heading') })
      .first();
    await best.getByRole('heading', { name: 'README › Shutdown' }).waitFor();
    expect(await best.textContent()).toMatch(/README\.md.*SIGTERM/su);
    expect(await page.locator('#outcome').textContent()).toMatch(/3 sections · [\d.]+ ms to embed the question/u);
    expect(page.url()).toContain('q=how+do+I+stop+it+gracefully');
  });

  it('can be used with the keyboard alone', async () => {
    await page.goto(sample.url);
    // The field has the focus from the start, but not before the page is drawn.
    await page.locator('#q:focus').waitFor();
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    expect(await page.locator(':focus').textContent()).toBe('What happens when the upstream is down?');
    await page.keyboard.press('Enter');
    await page.locator('.hit').first().waitFor();
    await page.keyboard.press('/');
    expect(await page.locator(':focus').getAttribute('id')).toBe('q');
  });

  it('shows what a document says as text, never as markup', async () => {
    await page.goto(`${sample.url}/?q=peculiar+markup`);
    await page.locator('.hit').first().waitFor();
    expect(await page.locator('.snippet').first().textContent()).toContain('<img src=x onerror=');
    expect(await page.locator('.hit img, .hit b').count()).toBe(0);
    expect(await page.title()).toBe('Ask the documents');
  });

  it('shows the pools, and their numbers move under load', async () => {
    await page.goto(sample.url);
    const pool = page.locator('[data-pool=embeddings]');
    const leases = async (name: string): Promise<number> =>
      Number(await page.locator(`[data-pool=${name}] [data-number=leases]`).textContent());
    await pool.waitFor();
    expect(await pool.locator('.cell').count()).toBe(8);
    expect(await pool.locator('.cell.idle').count()).toBeGreaterThan(0);
    await page.getByText('ready', { exact: true }).waitFor();
    const before = { documents: await leases('documents'), embeddings: await leases('embeddings') };
    await page.getByRole('button', { name: 'Send 200 searches' }).click();
    await page.getByText('200 of 200 answered').waitFor();
    await until('the panel has counted them', 3_000, async () => (await leases('documents')) >= before.documents + 200);
    expect(await leases('documents')).toBe(before.documents + 200);
    // Questions that are asked at the same time may share a request.
    const embedded = (await leases('embeddings')) - before.embeddings;
    expect(embedded).toBeGreaterThan(20);
    expect(embedded).toBeLessThanOrEqual(200);
    expect(await page.locator('[data-pool=documents] [data-number=max]').textContent()).toBe('/1');
  });

  it.each(['light', 'dark'] as const)(
    'is %s where the reader wants it so, and fits 360 pixels',
    async (colorScheme) => {
      await page.setViewportSize({ width: 360, height: 740 });
      await page.emulateMedia({ colorScheme });
      await page.goto(`${sample.url}/?q=limits`);
      await page.locator('.hit').first().waitFor();
      await page.locator('[data-pool=documents]').waitFor();
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360);
      const [red = 0] =
        (await page.evaluate<string>('getComputedStyle(document.body).backgroundColor')).match(/\d+/u) ?? [];
      expect(Number(red) > 128).toBe(colorScheme === 'light');
    },
  );
});
