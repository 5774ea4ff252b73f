/** Figures of several contenders over several rounds. */
export class Results {
  /** @type {Map<string, Record<string, number>[]>} */
  #rounds = new Map();

  add(name, figures) {
    if (!this.#rounds.has(name)) this.#rounds.set(name, []);
    this.#rounds.get(name).push(figures);
  }

  get names() {
    return [...this.#rounds.keys()];
  }

  median(name, figure) {
    return median(this.#of(name, figure));
  }

  /** Of two in the same rounds, the median of what they were to each other. */
  ratio(name, other, figure) {
    const others = this.#of(other, figure);
    return median(this.#of(name, figure).map((value, round) => value / others[round]));
  }

  /** @param {'most' | 'least'} wanted */
  best(names, figure, wanted) {
    const sorted = names.toSorted((one, other) => this.median(one, figure) - this.median(other, figure));
    return wanted === 'most' ? sorted.at(-1) : sorted[0];
  }

  #of(name, figure) {
    return this.#rounds.get(name).map((figures) => figures[figure]);
  }
}

function median(values) {
  const sorted = values.toSorted((one, other) => one - other);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}
