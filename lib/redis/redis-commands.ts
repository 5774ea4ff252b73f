/** Commands that change what the next borrower would find. All others are let through unseen. @internal */
export const NOTED = words(
  'multi exec discard watch unwatch select client readonly readwrite',
  'subscribe psubscribe ssubscribe unsubscribe punsubscribe sunsubscribe',
  'auth hello reset monitor sync psync quit acl config migrate',
);

/** What a `CLIENT` command sets, and what sets it back. A name has its own. @internal */
export const CLIENT_UNDO: Readonly<Record<string, readonly string[]>> = {
  tracking: ['tracking', 'off'],
  'no-evict': ['no-evict', 'off'],
  'no-touch': ['no-touch', 'off'],
};

/** `CLIENT` commands that change nothing for whoever comes next. What is not known to be one of them is taken to change something. @internal */
export const CLIENT_QUESTIONS = words(
  'id info list getname getredir trackinginfo help setinfo kill pause unpause unblock',
);

const BLOCKING = words('blpop brpop brpoplpush blmove blmovem blmpop bzpopmin bzpopmax bzmpop wait waitaof');
/** The word BLOCK stands before the keys, of which there may be many. */
const MOST_WORDS_BEFORE_STREAMS = 9;

/** Whether a command may wait at the server for something to happen. @internal */
export function mayBlock({ name, args }: { readonly name: string; readonly args: readonly unknown[] }): boolean {
  const word = name.toLowerCase();
  if (word !== 'xread' && word !== 'xreadgroup') return BLOCKING.has(word);
  return args.slice(0, MOST_WORDS_BEFORE_STREAMS).some((arg) => String(arg).toLowerCase() === 'block');
}

function words(...lines: readonly string[]): ReadonlySet<string> {
  return new Set(lines.flatMap((line) => line.split(' ')));
}
