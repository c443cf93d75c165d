# Every target is a line or two over npm, helm and kubectl, or a script of deploy/kind: `make help`.
# CONTEXT is the cluster that is meant, the one of kind unless it is said: whatever kubectl points to is never touched by accident.
CLUSTER          ?= gpu-telemetry
NAMESPACE        ?= gpu-telemetry
RELEASE          ?= telemetry-pipeline
IMAGE            ?= localhost/telemetry-pipeline
VERSION          ?= $(shell sed -n 's/^  "version": "\(.*\)",$$/\1/p' package.json)
CONTAINER_ENGINE ?= docker
CSV_FILE         ?= deploy/sample/dcgm_metrics.csv
VALUES           ?=
CONTEXT          ?= kind-$(CLUSTER)
API_URL          ?= http://localhost:30080
OPENAPI          ?= dist/openapi.json
KUBE_VERSION     ?= 1.34.0
export CLUSTER NAMESPACE RELEASE IMAGE VERSION CONTAINER_ENGINE CSV_FILE VALUES CONTEXT API_URL

chart   := deploy/helm/telemetry-pipeline
kubectl := kubectl --context $(CONTEXT) --namespace $(NAMESPACE)
helm    := helm --kube-context $(CONTEXT) --namespace $(NAMESPACE)
values  := $(foreach file,$(VALUES),--values $(file))
image   := --set image.repository=$(IMAGE) --set-string image.tag=$(VERSION)
# Of an upgrade, only what the caller says, on the command line or in the environment: a release keeps its image.
said     = $(filter-out file,$(origin $(1)))
upgrade := $(if $(call said,IMAGE),--set image.repository=$(IMAGE)) $(if $(call said,VERSION),--set-string image.tag=$(VERSION))

.DEFAULT_GOAL := help
.PHONY: build test coverage docker-build kind-setup kind-delete load-kind k8s-deploy k8s-delete k8s-status k8s-reset-influxdb \
  helm-install helm-upgrade helm-uninstall helm-template integration-test integration-test-kind openapi-gen port-forward-api \
  port-forward-influxdb clean clean-docker help

node_modules:
	npm ci

build: | node_modules ## Build the program and the library into dist
	npm run build

test: | node_modules ## Run the tests
	npm test

coverage: | node_modules ## Run the tests and say what they cover
	npm run coverage

docker-build: ## Build the image IMAGE:VERSION
	deploy/kind/image.sh build

kind-setup: ## From nothing to data: a KIND cluster that reads CSV_FILE; again: brings it up to date
	deploy/kind/setup.sh

kind-delete: ## Delete the KIND cluster, with all its data
	KIND_EXPERIMENTAL_PROVIDER=$(CONTAINER_ENGINE) kind delete cluster --name $(CLUSTER)

load-kind: docker-build ## Build the image, hand it to the KIND cluster, and print the tag it has there
	deploy/kind/image.sh load

k8s-deploy: docker-build ## Build, load and deploy what is checked out to the KIND cluster, and wait until it is ready
	tag=$$(deploy/kind/image.sh load) && deploy/kind/deploy.sh "$$tag"

k8s-delete: ## Uninstall the release and delete its namespace, with all its data
	$(helm) uninstall $(RELEASE) --wait --ignore-not-found
	$(kubectl) delete namespace $(NAMESPACE) --ignore-not-found

k8s-status: ## Show the release, its pods, services, volumes and scaling
	$(helm) status $(RELEASE) --output table
	$(kubectl) get pods,services,persistentvolumeclaims,horizontalpodautoscalers,jobs --output wide

k8s-reset-influxdb: ## Delete all that InfluxDB holds and begin with an empty one
	deploy/kind/reset-influxdb.sh

helm-install: ## Install the chart, with the image IMAGE:VERSION and VALUES, into the cluster CONTEXT
	$(helm) install $(RELEASE) $(chart) --create-namespace $(image) $(values) --wait --timeout 10m

helm-upgrade: ## Upgrade the release to the chart that is checked out; it keeps its image and values but for IMAGE, VERSION and VALUES given
	$(helm) upgrade $(RELEASE) $(chart) --reset-then-reuse-values $(upgrade) $(values) --wait --timeout 10m

helm-uninstall: ## Uninstall the release; its data and its Secret stay
	$(helm) uninstall $(RELEASE) --wait

helm-template: ## Print what the chart makes of VALUES
	@helm template $(RELEASE) $(chart) --namespace $(NAMESPACE) --kube-version $(KUBE_VERSION) $(image) $(values)

integration-test: | node_modules ## Start every process on this machine, with a real InfluxDB, and check them through REST
	npm run test:integration

integration-test-kind: ## Check the pipeline in the KIND cluster through REST (API_URL)
	test/integration/integration.sh

openapi-gen: | node_modules ## Write the OpenAPI document of the REST API to OPENAPI
	@npx tsx scripts/openapi.ts $(OPENAPI)

port-forward-api: ## Serve REST of a cluster without NodePorts on localhost:8080, until Ctrl-C
	$(kubectl) port-forward service/api 8080:8080

port-forward-influxdb: ## Serve InfluxDB of a cluster without NodePorts on localhost:8086, until Ctrl-C
	$(kubectl) port-forward service/influxdb 8086:8086

clean: ## Delete what was built and measured
	rm -rf dist coverage

clean-docker: ## Delete the images that docker-build and load-kind made
	$(CONTAINER_ENGINE) image ls --quiet $(IMAGE) | sort -u | xargs -r $(CONTAINER_ENGINE) image rm --force

help: ## List the targets and what can be set
	@echo 'make TARGET [VARIABLE=value …]'
	@awk -F ':[^#]*## ' '/^[a-z0-9-]+:.*## / { printf "  %-22s %s\n", $$1, $$2 }' Makefile
	@echo 'Variables: CLUSTER NAMESPACE RELEASE IMAGE VERSION CONTAINER_ENGINE CSV_FILE VALUES CONTEXT API_URL OPENAPI KUBE_VERSION'
