const POLL_MS = 1_000;
const SPARK_POINTS = 60;
/** More cells than these would be thinner than a hair; each then stands for several connections. */
const MAX_CELLS = 40;

const find = (selector, root = document) => root.querySelector(selector);
const form = find('#form');
const input = find('#q');

// ---- searching

let latest = 0;
/** Whether a question came before there was an index; it is asked again then. */
let isEarly = false;

form.addEventListener('submit', (event) => {
  event.preventDefault();
  void search(input.value.trim());
});

for (const example of document.querySelectorAll('#examples button')) {
  example.addEventListener('click', () => {
    input.value = example.textContent;
    form.requestSubmit();
  });
}

document.addEventListener('keydown', (event) => {
  if (event.key !== '/' || event.target instanceof HTMLInputElement || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  input.focus();
});

async function search(query) {
  if (query === '') return;
  latest += 1;
  const own = latest;
  history.replaceState(null, '', `?${new URLSearchParams({ q: query })}`);
  tell('searching …');
  const { ok, body } = await ask(`/search?${new URLSearchParams({ q: query })}`);
  // An answer that was overtaken by a later question is nobody's.
  if (own !== latest) return;
  isEarly = body.indexing !== undefined;
  if (!ok) {
    find('#hits').replaceChildren();
    return tell(body.message, 'failed');
  }
  const { embedMs, searchMs } = body.took;
  const count = body.hits.length === 1 ? '1 section' : `${body.hits.length} sections`;
  tell(`${count} · ${embedMs} ms to embed the question, ${searchMs} ms to search`);
  find('#hits').replaceChildren(...body.hits.map((hit) => hitElement(hit, query)));
  for (const more of document.querySelectorAll('.more')) {
    const snippet = more.previousElementSibling;
    more.hidden = snippet.scrollHeight <= snippet.clientHeight + 1;
  }
}

function tell(text, kind = '') {
  const outcome = find('#outcome');
  outcome.textContent = text;
  outcome.className = `outcome ${kind}`;
}

function hitElement({ title, source, text, score }, query) {
  const item = find('#hit').content.cloneNode(true);
  const path = find('.path', item);
  for (const [index, part] of title.split(' › ').entries()) {
    if (index > 0) path.append(element('i', ' › '));
    path.append(element('span', part));
  }
  find('.score-bar', item).style.setProperty('--share', String(Math.max(0, Math.min(1, score))));
  find('.score-text', item).textContent = score.toFixed(2);
  find('.score', item).title = 'How near the meanings are: 1 is the same';
  find('.source', item).textContent = source;
  const snippet = find('.snippet', item);
  snippet.append(...highlighted(readable(text), query));
  const more = find('.more', item);
  more.addEventListener('click', () => {
    const isWhole = snippet.classList.toggle('whole');
    more.setAttribute('aria-expanded', String(isWhole));
    more.textContent = isWhole ? 'Show less' : 'Show all';
  });
  return item;
}

/** Tables are drawn for wide terminals; here their cells follow each other. */
function readable(text) {
  const lines = text.split('\n').filter((line) => !/^\|[|: -]+$/u.test(line));
  return lines
    .map((line) =>
      /^\|.*\|$/u.test(line)
        ? line
            .slice(1, -1)
            .split('|')
            .map((cell) => cell.trim())
            .join(' · ')
        : line,
    )
    .join('\n');
}

const EMPTY_WORDS = new Set('does from have that them then there they this what when where which with your'.split(' '));

/** The text, with the question's own words marked. Nodes, never markup: whatever a document says stays text. */
function highlighted(text, query) {
  const words = [...new Set(query.toLowerCase().match(/[\p{L}\p{N}]{4,}/gu) ?? [])].filter(
    (word) => !EMPTY_WORDS.has(word),
  );
  if (words.length === 0) return [text];
  // \p{L} and \p{N} hold nothing that means something in a pattern.
  const pattern = new RegExp(`(\\p{L}*(?:${words.join('|')})\\p{L}*)`, 'giu');
  return text.split(pattern).map((part, index) => (index % 2 === 1 ? element('mark', part) : part));
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

// ---- watching the pools

const cards = new Map();

async function poll() {
  if (!document.hidden) {
    const [pools, health] = await Promise.all([ask('/pools'), ask('/health/ready')]);
    if (pools.ok) {
      showIndexing(pools.body.indexing);
      for (const [name, stats] of Object.entries(pools.body.pools)) showPool(name, stats);
    }
    showHealth(health);
  }
  setTimeout(poll, POLL_MS);
}

function showHealth({ isReached, body }) {
  const status = isReached ? (body.status ?? 'error') : 'error';
  const down = Object.entries(body.details ?? {}).filter(([, pool]) => pool.status !== 'up');
  const words = {
    ok: 'ready',
    degraded: `under pressure: ${down.map(([name]) => name).join(', ')}`,
    error: isReached ? `not ready: ${down.map(([name]) => name).join(', ')}` : 'the server does not answer',
  };
  find('#health').dataset.is = status;
  setText(find('#health-text'), words[status] ?? status);
}

function showIndexing({ state, done, total, documents, problem }) {
  if (isEarly && state === 'ready') void search(input.value.trim());
  const box = find('#indexing');
  box.hidden = state === 'ready';
  box.classList.toggle('failed', state === 'failed');
  find('#indexing-bar').hidden = problem !== undefined;
  find('#indexing-bar').value = total === 0 ? 0 : done / total;
  const progress = `Reading ${documents} documents: ${done} of ${total} sections`;
  setText(find('#indexing-text'), problem ?? progress);
}

function showPool(name, stats) {
  const card = cards.get(name) ?? newCard(name);
  const { activeConnections, idleConnections, creatingConnections, maxConnections, waiting, acquired } = stats;
  const leases = acquired.direct + acquired.waited;
  const now = performance.now();
  const rate = card.leases === undefined ? 0 : ((leases - card.leases) * 1_000) / (now - card.at);
  Object.assign(card, { leases, at: now });

  const trouble = troubleOf(stats);
  find('.state', card.root).dataset.is = trouble === undefined ? 'fine' : 'trouble';
  setText(find('.state', card.root), trouble === undefined ? stats.state : 'in trouble');
  setText(find('.upstream', card.root), stats.upstream);
  const values = { active: activeConnections, max: `/${maxConnections}`, waiting, leases, rate: rounded(rate) };
  for (const [key, value] of Object.entries(values)) setText(find(`[data-number=${key}]`, card.root), String(value));
  find('.trouble', card.root).hidden = trouble === undefined;
  setText(find('.trouble', card.root), trouble ?? '');

  fillCells(find('.cells', card.root), stats);
  find('.cells', card.root).setAttribute(
    'aria-label',
    `${activeConnections} in use, ${idleConnections} idle, ${creatingConnections} opening, of ${maxConnections}`,
  );
  card.rates.push(rate);
  card.rates.shift();
  drawSpark(find('polyline', card.root), card.rates);
}

function newCard(name) {
  const root = find('#pool').content.cloneNode(true).firstElementChild;
  root.dataset.pool = name;
  setText(find('.pool-name', root), name);
  find('#pools').append(root);
  const card = { root, rates: Array.from({ length: SPARK_POINTS }, () => 0), leases: undefined, at: 0 };
  cards.set(name, card);
  return card;
}

function troubleOf({ state, createFailuresInRow, lastCreateError }) {
  if (state !== 'open') return 'The application is shutting down.';
  if (createFailuresInRow === 0 || lastCreateError === undefined) return undefined;
  const what = lastCreateError.code ?? lastCreateError.name;
  return `${createFailuresInRow} attempts to connect failed; the last: ${what}, ${Math.round(lastCreateError.agoMs / 1_000)} s ago`;
}

function fillCells(row, stats) {
  const { maxConnections, activeConnections, idleConnections, creatingConnections, checkingConnections } = stats;
  const count = Math.min(maxConnections, MAX_CELLS);
  const share = count / maxConnections;
  const ends = { active: Math.ceil(activeConnections * share) };
  ends.idle = ends.active + Math.ceil((idleConnections + checkingConnections) * share);
  ends.opening = ends.idle + Math.ceil(creatingConnections * share);
  while (row.childElementCount < count) row.append(element('span', ''));
  while (row.childElementCount > count) row.lastElementChild.remove();
  for (const [index, cell] of [...row.children].entries()) {
    const kind = Object.keys(ends).find((name) => index < ends[name]) ?? '';
    cell.className = `cell ${kind}`;
  }
}

function drawSpark(line, rates) {
  const most = Math.max(1, ...rates);
  const points = rates.map((rate, index) => `${index},${(15 - (rate / most) * 14).toFixed(1)}`);
  line.setAttribute('points', points.join(' '));
}

function rounded(number) {
  return number < 10 ? Math.round(number * 10) / 10 : Math.round(number);
}

/** Untouched where nothing changed, so that a selection stays. */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// ---- load, to see the pools at work

find('#load').addEventListener('click', async ({ currentTarget: button }) => {
  const questions = [...document.querySelectorAll('#examples button')].map(({ textContent }) => textContent);
  const note = find('#load-note');
  button.disabled = true;
  const startedAt = performance.now();
  let sent = 0;
  let served = 0;
  const worker = async () => {
    while (sent < 200) {
      sent += 1;
      // Each is another text: the same one would be embedded once, and come out of the cache from then on.
      const q = `${questions[sent % questions.length]} (${sent})`;
      const { ok } = await ask(`/search?${new URLSearchParams({ q })}`);
      if (ok) served += 1;
      setText(note, `${served} answered`);
    }
  };
  await Promise.all(Array.from({ length: 50 }, worker));
  const seconds = (performance.now() - startedAt) / 1_000;
  setText(note, `${served} of 200 answered in ${seconds.toFixed(1)} s`);
  button.disabled = false;
});

/** Never rejects: a server that does not answer is something to show. */
async function ask(url) {
  try {
    const response = await fetch(url, { headers: { accept: 'application/json' } });
    return { isReached: true, ok: response.ok, body: await response.json() };
  } catch {
    return { isReached: false, ok: false, body: { message: 'The server does not answer. Is it running?' } };
  }
}

input.value = new URLSearchParams(location.search).get('q') ?? '';
void search(input.value.trim());
void poll();
