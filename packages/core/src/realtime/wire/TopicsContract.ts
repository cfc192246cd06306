/** The contract that servers and clients of topics speak. */
import * as Contract from "../../Contract.ts"
import { name, ToClient, ToServer } from "./Messages.ts"

export const TopicsContract = Contract.make(name, { toServer: ToServer, toClient: ToClient })
