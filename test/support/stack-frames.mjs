import { fileURLToPath } from 'node:url';

/**
 * The callers of `below`, innermost first, as plain data. A stack kept as an Error would keep the receivers of all its
 * calls from the garbage collector, and tests look at what that collects.
 */
export function captureFrames(below) {
  const { stackTraceLimit } = Error;
  const formatter = Reflect.get(Error, 'prepareStackTrace');
  try {
    Error.stackTraceLimit = 40;
    Error.prepareStackTrace = (_error, sites) => sites.map((site) => new Frame(site));
    const holder = {};
    Error.captureStackTrace(holder, below);
    return holder.stack.filter((frame) => frame.file !== '');
  } finally {
    Error.prepareStackTrace = formatter;
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** As the lines of a stack, in the coordinates of the source: the formatter that Jest installed knows the source maps. */
export function formatFrames(frames) {
  const stack = Error.prepareStackTrace?.(new Error('-'), frames);
  if (typeof stack !== 'string') return frames.map((frame) => `    at ${frame}`).join('\n');
  return stack.slice(stack.indexOf('\n') + 1);
}

/** Looks enough like V8's CallSite for Jest's formatter. */
class Frame {
  constructor(site) {
    const file = site.getFileName() ?? '';
    this.file = file.startsWith('file:') ? fileURLToPath(file) : file;
    this.line = site.getLineNumber();
    this.column = site.getColumnNumber();
    this.name = site.getFunctionName();
  }
  getFileName() {
    return this.file;
  }
  getScriptNameOrSourceURL() {
    return this.file;
  }
  getLineNumber() {
    return this.line;
  }
  getColumnNumber() {
    return this.column;
  }
  getFunctionName() {
    return this.name;
  }
  getTypeName() {
    return null;
  }
  getMethodName() {
    return null;
  }
  isNative() {
    return false;
  }
  isEval() {
    return false;
  }
  isToplevel() {
    return true;
  }
  isConstructor() {
    return false;
  }
  toString() {
    return `${this.name ?? '<anonymous>'} (${this.file}:${this.line}:${this.column})`;
  }
}
