#!/usr/bin/env bash
# image.sh build: builds the image, labelled with its version and, where this is a checkout, its revision. image.sh load: hands it to
# the cluster's node, also under a tag that says what is in it, and prints that: under the version alone a changed image would have
# the name of the old one, and no pod would change.
set -euo pipefail
# shellcheck source=deploy/kind/settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"

case ${1:-} in
  build)
    arguments=(--build-arg "VERSION=$VERSION")
    if [ -e .git ] && revision=$(git rev-parse HEAD 2>/dev/null); then arguments+=(--build-arg "REVISION=$revision"); fi
    "$CONTAINER_ENGINE" build --file deploy/docker/Dockerfile "${arguments[@]}" --tag "$IMAGE:$VERSION" .
    ;;
  load)
    id=$("$CONTAINER_ENGINE" image inspect --format '{{.Id}}' "$IMAGE:$VERSION") || fail "no image $IMAGE:$VERSION: make docker-build"
    id=${id#sha256:}
    tag=$VERSION-${id:0:12}
    archive=$(mktemp -d)
    trap 'rm -r "$archive"' EXIT
    "$CONTAINER_ENGINE" tag "$IMAGE:$VERSION" "$IMAGE:$tag"
    "$CONTAINER_ENGINE" save --output "$archive/image.tar" "$IMAGE:$VERSION" "$IMAGE:$tag" >&2
    "$CONTAINER_ENGINE" image rm "$IMAGE:$tag" >/dev/null # the name alone, which is the node's
    kind load image-archive --name "$CLUSTER" "$archive/image.tar" >&2
    echo "$tag"
    ;;
  *) fail "build or load" ;;
esac
