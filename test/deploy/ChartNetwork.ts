/** Who may open a connection to whom: NetworkPolicies, read as Kubernetes documents them. */
import { type KubernetesObject, type Labels, ofKind, type Selector } from "./ChartObjects.ts"

export interface Policy {
  readonly podSelector: Selector
  readonly policyTypes?: ReadonlyArray<"Ingress" | "Egress">
  readonly ingress?: ReadonlyArray<{
    readonly from?: ReadonlyArray<Peer>
    readonly ports?: ReadonlyArray<Port>
  }>
  readonly egress?: ReadonlyArray<{ readonly to?: ReadonlyArray<Peer>; readonly ports?: ReadonlyArray<Port> }>
}

interface Port {
  readonly port?: number | string
  readonly protocol?: string
}

interface Peer {
  readonly podSelector?: Selector
  readonly namespaceSelector?: Selector
  readonly ipBlock?: { readonly cidr: string; readonly except?: ReadonlyArray<string> }
}

/** A pod, or what is outside of the cluster and has an address alone. */
export type Party = { readonly namespace: string; readonly labels: Labels } | { readonly address: string }

export interface Connection {
  readonly from: Party
  readonly to: Party
  readonly port: number
  readonly protocol?: "TCP" | "UDP"
}

const matches = ({ matchLabels = {}, matchExpressions = [] }: Selector, labels: Labels): boolean => {
  if (matchExpressions.length > 0) throw new Error("matchExpressions are not read here")
  return Object.entries(matchLabels).every(([key, value]) => labels[key] === value)
}

const numberOf = (address: string): number =>
  address.split(".").reduce((number, part) => number * 256 + Number(part), 0)

const isIn = (cidr: string, address: string): boolean => {
  const [network, bits] = cidr.split("/")
  const size = 2 ** (32 - Number(bits))
  return Math.floor(numberOf(network!) / size) === Math.floor(numberOf(address) / size)
}

const isPeer = (peer: Peer, party: Party, namespace: string): boolean => {
  if ("address" in party) {
    const { cidr, except = [] } = peer.ipBlock ?? {}
    return cidr !== undefined && isIn(cidr, party.address) && !except.some((of) => isIn(of, party.address))
  }
  if (peer.ipBlock !== undefined) return false
  const isInNamespace =
    peer.namespaceSelector === undefined
      ? party.namespace === namespace
      : matches(peer.namespaceSelector, { "kubernetes.io/metadata.name": party.namespace })
  return isInNamespace && matches(peer.podSelector ?? {}, party.labels)
}

type Rules = ReadonlyArray<{
  readonly peers: ReadonlyArray<Peer> | undefined
  readonly ports: ReadonlyArray<Port> | undefined
}>

/** A rule without peers, or without ports, is for all of them; so is one with none of them in its list. */
const isAllowedBy = (
  rules: Rules,
  other: Party,
  namespace: string,
  { port, protocol = "TCP" }: Connection
): boolean =>
  rules.some(
    ({ peers = [], ports = [] }) =>
      (peers.length === 0 || peers.some((peer) => isPeer(peer, other, namespace))) &&
      (ports.length === 0 ||
        ports.some(
          (of) => (of.port === undefined || of.port === port) && (of.protocol ?? "TCP") === protocol
        ))
  )

/** Which of a connection's ends let it be opened, by the policies of a namespace. */
export const ends = (
  objects: ReadonlyArray<KubernetesObject>,
  namespace: string,
  connection: Connection
): { readonly isLetOut: boolean; readonly isLetIn: boolean } => {
  const policies = ofKind(objects, "NetworkPolicy").map(({ spec }) => spec as unknown as Policy)
  const lets = (
    party: Party,
    other: Party,
    type: "Ingress" | "Egress",
    rulesOf: (policy: Policy) => Rules
  ) => {
    if ("address" in party || party.namespace !== namespace) return true
    const its = policies.filter(
      ({ podSelector, policyTypes = ["Ingress"] }) =>
        policyTypes.includes(type) && matches(podSelector, party.labels)
    )
    return (
      its.length === 0 || its.some((policy) => isAllowedBy(rulesOf(policy), other, namespace, connection))
    )
  }
  const { from, to } = connection
  return {
    isLetOut: lets(from, to, "Egress", ({ egress = [] }) =>
      egress.map(({ to: peers, ports }) => ({ peers, ports }))
    ),
    isLetIn: lets(to, from, "Ingress", ({ ingress = [] }) =>
      ingress.map(({ from: peers, ports }) => ({ peers, ports }))
    )
  }
}

/** Whether a connection can be opened: both its ends have to let it. */
export const isAllowed = (
  objects: ReadonlyArray<KubernetesObject>,
  namespace: string,
  connection: Connection
): boolean => {
  const { isLetOut, isLetIn } = ends(objects, namespace, connection)
  return isLetOut && isLetIn
}
