/** The OpenAPI document of the gateway. Apart from the contract, as a client has no use for it. */
import { OpenApi } from "@effect/platform"
import { GatewayApi } from "./GatewayApi.ts"

/** The OpenAPI 3.1 document. Answers may gain fields: no schema forbids what it does not name. */
export const gatewayDocument = OpenApi.fromApi(GatewayApi, { additionalPropertiesStrategy: "allow" })
