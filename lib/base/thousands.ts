/** `12,345`. */
export function withThousands(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}
