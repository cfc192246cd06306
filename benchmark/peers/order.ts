/** What servers do with an order, whatever they are made with. */

export interface Order {
  readonly price: number
  readonly quantity: number
}

export const placed = (order: Order) => ({ ...order, state: "accepted", total: order.price * order.quantity })

/** Parses it, changes it, and writes it again. */
export const answer = (text: string): string => JSON.stringify(placed(JSON.parse(text) as Order))
