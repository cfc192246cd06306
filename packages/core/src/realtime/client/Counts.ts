/** What a client counts, as plain fields that metrics read. */
export class Counts {
  deliveries = 0
  publications = 0
  recoveries = 0
  readonly gaps = new Map<string, number>()
  readonly failures = new Map<string, number>()
}
