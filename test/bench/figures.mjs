/** Three digits that matter, as tables and the chart show them. */
export function digits(value) {
  if (value === 0) return '0';
  if (value >= 1_000) return Math.round(value).toLocaleString('en-US');
  return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2);
}

export const times = (ratio) => `${ratio.toFixed(2)}×`;
