/** What servers do with an order, whatever they are made with. */

export interface Order {
  readonly price: number
  readonly quantity: number
}

/** Parses it, changes it, and writes it again. */
export const answer = (text: string): string => {
  const order = JSON.parse(text) as Order
  return JSON.stringify({ ...order, state: "accepted", total: order.price * order.quantity })
}
