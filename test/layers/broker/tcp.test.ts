/** The broker over TCP: the contract of every broker, over a server and a connection. */
import { brokerContract } from "../../contracts/Broker.contract.ts"
import { layerServed } from "./tcp/Served.ts"

brokerContract("a connection", layerServed)
