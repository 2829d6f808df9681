/** Look-ups that many ask for at once are made once, few at a time, and remembered for a moment. */
import { Refusal } from "../errors.ts";

export interface Flights<T> {
  /** What `look` answers, or answered a moment ago to somebody else. @throws what it throws, or Refusal `unavailable`. */
  share(key: string, look: () => Promise<T>): Promise<T>;
}

/** More at once would be a storm on the API server, which others need too. */
const inFlightMax = 64;
/** How long an answer serves others: a burst, and no more. */
const rememberMs = 1_000;
const rememberedMax = 4_096;

export function openFlights<T>(): Flights<T> {
  const flights = new Map<string, Promise<T>>();
  let inFlight = 0;

  const start = (key: string, look: () => Promise<T>): Promise<T> => {
    if (inFlight >= inFlightMax || flights.size >= rememberedMax) {
      throw new Refusal("unavailable", "the Kubernetes API is being asked about too much already");
    }
    const forget = (): void => void flights.delete(key);
    inFlight += 1;
    const answer = look().finally(() => {
      inFlight -= 1;
    });
    flights.set(key, answer);
    // A failure is nobody's answer: whoever comes next asks again.
    answer.then(() => setTimeout(forget, rememberMs).unref(), forget);
    return answer;
  };

  return { share: async (key, look) => await (flights.get(key) ?? start(key, look)) };
}
