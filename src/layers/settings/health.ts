/** The ports that the processes of a machine tell at how they are: settings of theirs, for whoever asks them. */
import { group } from "../Setting.ts"
import { brokerHttpSettings } from "./broker-http.ts"
import { gatewaySettings } from "./gateway.ts"
import { everyAddress } from "./hosts.ts"
import { probeSettings } from "./probe.ts"

const { apiPort } = gatewaySettings(everyAddress).settings
const { httpPort } = brokerHttpSettings(everyAddress).settings
const { probePort } = probeSettings.settings

export const apiPortSettings = group("Gateway", { apiPort })
export const httpPortSettings = group("Broker HTTP", { httpPort })
export const probePortSettings = group("Probe", { probePort })
