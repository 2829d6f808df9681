/** Kubernetes' MicroTime: six digits of a second, no more and no fewer, or the API server refuses the object. */
export function toMicroTime(date: Date): string {
  return date.toISOString().replace("Z", "000Z");
}
