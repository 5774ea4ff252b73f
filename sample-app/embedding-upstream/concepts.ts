/**
 * Which everyday words mean the same thing around a connection pool.
 *
 * A learned model knows from its training that "shut down", "close" and "drain" are near each other; hashing knows nothing of the kind. This
 * table stands in for that knowledge, for this one domain and no more: each word in a row also counts as the row's name. It speaks of words,
 * never of a particular text or question, and is short enough to be read in a minute.
 *
 * Words are compared by their stems, so one form of each is enough. A word may stand in several rows and is then shared among them.
 * A word that is said everywhere ("use", "get", "request") has no place here: it would bring every text nearer to every other.
 */
export const CONCEPTS: Readonly<Record<string, string>> = {
  ending:
    'shutdown close stop drain exit quit terminate sigterm finish graceful dispose kubernetes deploy restart rollout',
  failing:
    'fail failure down unavailable die died dying dead broken break outage crash unreachable offline econnrefused econnreset unhealthy',
  reporting: 'error exception throw message status code 503 cause',
  upstream: 'upstream server backend api remote endpoint service',
  limiting: 'limit max maximum most cap ceiling bound size exceed number count',
  keeping: 'min minimum least floor warm warmup eager',
  testing: 'test mock fake stub spec jest override simulate simulator',
  aging: 'lifetime life live old age retire recycle rotate replace expire expiry renew refresh',
  idling: 'idle unused inactive quiet',
  waiting: 'wait queue waiter pending line busy turn',
  ordering: 'priority order first fair fairness important fifo lifo urgent',
  timing: 'timeout deadline duration late slow hang stuck overdue time',
  injecting: 'inject injection constructor provider token dependency di',
  decorating: 'decorator decorate decoration annotation wrap method function',
  borrowing: 'acquire borrow lease take obtain checkout lend hold held',
  returning: 'release return back checkin free',
  leaking: 'leak forget forgot forgotten lost unreleased reclaim garbage',
  checking: 'health healthy check probe validate alive ping readiness liveness ready verify detect heartbeat',
  retrying: 'retry again backoff attempt replay reconnect recover recovery',
  filling: 'full exhausted saturated overload overflow busy refuse pressure',
  opening: 'open create establish handshake start startup boot bootstrap',
  removing: 'destroy discard remove evict delete kill',
  measuring:
    'metric stats statistic counter histogram prometheus opentelemetry grafana monitor observe measure gauge percentile',
  watching: 'dashboard chart graph watch live view monitor',
  logging: 'log logger logging warn warning trace',
  securing: 'secret password credential key authentication authorization redact tls private secure security protect',
  configuring: 'config configure configuration setting environment env variable setup',
  sharing: 'fleet replica instance distributed cluster share global quota',
  multiplying: 'several multiple tenant customer keyed separate per each',
  embedding: 'embed embedding vector semantic similarity',
  batching: 'batch bulk chunk many together group multiple',
  pacing: 'rate throttle 429 quota pace ratelimit',
  caching: 'cache memoize remember dedupe duplicate same identical twice',
  storing: 'database postgres postgresql mysql redis sql query transaction db orm',
  calling: 'http axios rest url keepalive socket undici tcp',
  resizing: 'resize grow shrink scale change runtime dynamic running',
  stranding: 'deadlock starve starvation forever block itself ever',
  telling: 'event listen listener subscribe notify notified emit',
  installing: 'install installation npm require version node esm',
  cancelling: 'abort cancel signal interrupt',
  performing: 'fast speed performance benchmark quick slow microsecond overhead',
};

/** Two words in a row that say one thing. They are read as the single word on the right. */
export const PHRASES: Readonly<Record<string, string>> = {
  'shut down': 'shutdown',
  'shutting down': 'shutdown',
  'shuts down': 'shutdown',
  'switch off': 'shutdown',
  'turn off': 'shutdown',
  'go away': 'unavailable',
  'goes away': 'unavailable',
  'went away': 'unavailable',
  'throw away': 'discard',
  'thrown away': 'discard',
  'time out': 'timeout',
  'times out': 'timeout',
  'timed out': 'timeout',
  'how long': 'duration',
  'how old': 'age',
  'how many': 'number',
  'too many': 'overload',
  'at most': 'maximum',
  'at least': 'minimum',
  'run out': 'exhausted',
  'runs out': 'exhausted',
  'used up': 'exhausted',
  'check out': 'checkout',
  'keep alive': 'keepalive',
  'back off': 'backoff',
  'warm up': 'warmup',
  'set up': 'setup',
  'rate limit': 'ratelimit',
  'rate limits': 'ratelimit',
  'run time': 'runtime',
  'garbage collected': 'garbage',
};
