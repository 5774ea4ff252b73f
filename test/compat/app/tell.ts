/** A line of facts for the process that started this one. A pipe is written synchronously: what is told last arrives too. */
export function tell(facts: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(facts)}\n`);
}
