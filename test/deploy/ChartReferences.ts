/** What objects of the chart refer to: whether it is there, or said to be there already. */
import { containersOf, type KubernetesObject, nameOf, ofKind, podsOf } from "./ChartObjects.ts"

/** Objects that somebody else made, by kind and name. */
export type Existing = ReadonlyArray<string>

/** References, as `Secret/name key` or `Kind/name`. */
const referencesOf = (objects: ReadonlyArray<KubernetesObject>): ReadonlyArray<readonly [string, string]> =>
  podsOf(objects).flatMap((pod) => {
    const { spec, name } = pod
    const volumes = spec.volumes ?? []
    const containers = containersOf(pod)
    return [
      ...volumes.flatMap(({ persistentVolumeClaim: claim, configMap, secret }) => [
        ...(claim === undefined ? [] : [`PersistentVolumeClaim/${claim.claimName}`]),
        ...(configMap === undefined ? [] : [`ConfigMap/${configMap.name}`]),
        ...(secret === undefined ? [] : [`Secret/${secret.secretName}`])
      ]),
      ...containers.flatMap(({ envFrom = [] }) =>
        envFrom.flatMap(({ configMapRef, secretRef }) => [
          ...(configMapRef === undefined ? [] : [`ConfigMap/${configMapRef.name}`]),
          ...(secretRef === undefined ? [] : [`Secret/${secretRef.name}`])
        ])
      ),
      ...containers.flatMap(({ env = [] }) =>
        env.flatMap(({ valueFrom }) => [
          ...(valueFrom?.secretKeyRef === undefined
            ? []
            : [`Secret/${valueFrom.secretKeyRef.name} ${valueFrom.secretKeyRef.key}`]),
          ...(valueFrom?.configMapKeyRef === undefined
            ? []
            : [`ConfigMap/${valueFrom.configMapKeyRef.name} ${valueFrom.configMapKeyRef.key}`])
        ])
      ),
      ...(spec.serviceAccountName === undefined ? [] : [`ServiceAccount/${spec.serviceAccountName}`])
    ].map((reference) => [name, reference] as const)
  })

/** References to what is not there. */
export const dangling = (
  objects: ReadonlyArray<KubernetesObject>,
  existing: Existing = []
): ReadonlyArray<string> => {
  const there = new Set([
    ...existing,
    ...objects.flatMap((object) => [
      nameOf(object),
      ...Object.keys(object.data ?? {}).map((key) => `${nameOf(object)} ${key}`)
    ])
  ])
  const volumes = ofKind(objects, "PersistentVolume")
  return [
    ...referencesOf(objects)
      .filter(([, reference]) => !there.has(reference))
      .map(([pod, reference]) => `${pod}: ${reference} is not there`),
    ...ofKind(objects, "PersistentVolumeClaim").flatMap(({ metadata, spec }) =>
      spec?.volumeName === undefined ||
      volumes.some(
        (volume) => volume.metadata.name === spec.volumeName && volume.spec?.claimRef?.name === metadata.name
      )
        ? []
        : [`PersistentVolumeClaim/${metadata.name}: no PersistentVolume ${spec.volumeName} is made for it`]
    )
  ]
}
