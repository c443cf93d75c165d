#!/usr/bin/env bash
# Checks a gateway that runs somewhere, over HTTP and as any client could: any store, and a source that goes on writing.
# Integration.ps1 makes the same checks, by the same names and in the same order.
#
# shellcheck disable=SC2016 # What stands in single quotes is for jq, whose variables look like the shell's.
set -uo pipefail

usage() {
  cat <<'USAGE'
Usage: [API_URL=http://localhost:8080] [WAIT_SECONDS=60] integration.sh

Waits until the gateway at API_URL answers with samples, for WAIT_SECONDS at most, then makes every check: a line for each,
and what was expected and what came where one failed. Exit code 0 where all passed, 1 where one failed, 2 where it can't be
run. Needs curl and jq.
USAGE
}

if [[ ${1:-} == --help || ${1:-} == -h ]]; then
  usage
  exit 0
fi
if [[ $# -gt 0 ]]; then
  usage >&2
  exit 2
fi
for tool in curl jq; do
  if ! command -v "$tool" > /dev/null; then
    echo "integration.sh needs $tool, which is not on the path" >&2
    exit 2
  fi
done

api_url=${API_URL:-http://localhost:8080}
api_url=${api_url%/}
if [[ ! $api_url =~ ^https?://[^/] ]]; then
  echo "API_URL: $api_url is not accepted, expected a URL such as http://localhost:8080" >&2
  exit 2
fi
wait_seconds=${WAIT_SECONDS:-60}
if [[ ! $wait_seconds =~ ^[0-9]+$ ]]; then
  echo "WAIT_SECONDS: $wait_seconds is not accepted, expected a whole number of seconds" >&2
  exit 2
fi

# Samples of one GPU that paging needs, and rows of a page of it.
readonly samples_min=8 page_rows=3 pages_max=40
# What has stood still for so long is written; samples on their way may be older than some that are there.
readonly settled_seconds=2
# How far figures of the whole store may be behind samples that other processes have written.
readonly settle_seconds_max=20
readonly answer_seconds_max=30 shown_characters_max=300
readonly unknown_gpu=GPU-00000000-unknown

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
readonly problem=$folder/problem body=$folder/body headers=$folder/headers rows=$folder/rows pages=$folder/pages all_gpus=$folder/gpus
status=000

# Asks for a path with parameters (name=value); leaves status, headers and body.
ask() {
  local path=$1 parameter
  shift
  local parameters=()
  for parameter in "$@"; do parameters+=(--data-urlencode "$parameter"); done
  : > "$body"
  : > "$headers"
  status=$(curl --silent --show-error --get --globoff --max-time "$answer_seconds_max" --output "$body" --dump-header "$headers" \
    --write-out '%{http_code}' ${parameters[@]+"${parameters[@]}"} "$api_url$path" 2> "$problem")
}

# A value out of the answer; empty where the answer is no JSON.
value() { jq --raw-output "$1" "$body" 2> /dev/null; }

header() {
  tr -d '\r' < "$headers" | awk -v name="$1: " 'index(tolower($0), name) == 1 { value = substr($0, length(name) + 1) } END { print value }'
}

failure=''

# Only the first thing that is wrong in a check is told: the rest follows from it.
expect() {
  local what=$1 expected=$2 got=$3
  if [[ $expected != "$got" && -z $failure ]]; then
    failure="$what: expected $expected, got ${got:0:$shown_characters_max}"
  fi
}

expect_status() { expect 'status' "$1" "$status"; }

expect_type() {
  local type
  type=$(header content-type)
  expect 'content type' "$1" "${type%%;*}"
}

# What has to be true of the answer: a jq filter, with the arguments of jq that it needs.
expect_answer() {
  local what=$1 filter=$2
  shift 2
  if [[ $(jq "$@" "$times $filter" "$body" 2> /dev/null) != true ]]; then
    expect "$what" 'it to be so' "$(tr '\n' ' ' < "$body")"
  fi
}

# Asks until something is true of the answer, for a while.
ask_until() {
  local filter=$1 path=$2 deadline=$((SECONDS + settle_seconds_max))
  shift 2
  ask "$path"
  until [[ $status != 200 || $(jq "$@" "$times $filter" "$body" 2> /dev/null) == true ]] || ((SECONDS >= deadline)); do
    sleep 1
    ask "$path"
  done
}

# Times have as many digits as they need; without the Z, and with a point, they are ordered as texts.
readonly times='def time: rtrimstr("Z") | if contains(".") then . else . + "." end;'

passed=0
failed=0

check() {
  failure=''
  "$2"
  if [[ -z $failure ]]; then
    passed=$((passed + 1))
    echo "ok      $1"
  else
    failed=$((failed + 1))
    echo "FAILED  $1: $failure"
  fi
}

# A GPU that is written to, and the times of a part of what is stored of it that grows no more.
gpu=''
gpu_path=''
start_time=''
end_time=''

# Whether there is enough to check; the newest samples are left out of what has to stand still.
find_samples() {
  ask /ready
  [[ $status == 200 ]] || return 1
  ask /api/v1/telemetry limit=1
  gpu=$(value '.data[0].uuid // empty')
  [[ -n $gpu ]] || return 1
  gpu_path=/api/v1/gpus/$(encoded "$gpu")
  ask "$gpu_path/telemetry" limit=40
  [[ $(value '.count') -ge $samples_min ]] 2> /dev/null || return 1
  start_time=$(value '.data[-1].timestamp')
  end_time=$(value '.data[(.count / 4 | floor)].timestamp')
  local part
  ask_part limit=1000
  part=$(value '.data')
  sleep "$settled_seconds"
  ask_part limit=1000
  [[ $status == 200 && $(value '.data') == "$part" ]]
}

encoded() { jq --null-input --raw-output --arg text "$1" '$text | @uri'; }

wait_for_samples() {
  local deadline=$((SECONDS + wait_seconds))
  until find_samples; do
    if ((SECONDS >= deadline)); then
      echo "waited $wait_seconds s for $samples_min samples of a GPU at $api_url, in vain"
      [[ $status != 000 ]] || { echo "nobody answers: $(head -n 1 "$problem")"; exit 1; }
      return
    fi
    sleep 1
  done
}

# Asks for the part that grows no more, with what else is to be asked; a page holds all of it unless told.
ask_part() { ask "$gpu_path/telemetry" "start_time=$start_time" "end_time=$end_time" "$@"; }

expect_problem() {
  expect_status "$1"
  expect_type application/problem+json
  expect_answer "a problem, $2" '.status == $status and .error == $error and .detail == .message and (.detail | length > 0)' \
    --argjson status "$1" --arg error "$2"
}

health() {
  ask /health
  expect_status 200
  expect_answer 'healthy' '.status == "healthy"'
}

readiness() {
  ask /ready
  expect_status 200
  expect_answer 'ready' '.status == "ready"'
}

gpus_listed() {
  ask_until '.data | index($gpu) != null' /api/v1/gpus --arg gpu "$gpu"
  expect_status 200
  expect_answer 'each once, in order' '.data == (.data | unique)'
  expect_answer 'all of them' '.count == (.data | length) and .count == .total and (has("next_cursor") | not)'
  expect_answer "$gpu among them" '.data | index($gpu) != null' --arg gpu "$gpu"
  cp "$body" "$all_gpus"
}

gpus_paged() {
  local first cursor
  ask /api/v1/gpus limit=1
  expect_status 200
  expect_answer 'one GPU' '.count == 1 and (.data | length) == 1 and .total >= 1'
  first=$(value '.data[0]')
  cursor=$(value '.next_cursor // empty')
  if [[ -z $cursor ]]; then
    expect_answer 'no further page of one GPU' '.total == 1'
    return
  fi
  ask /api/v1/gpus limit=1 "cursor=$cursor"
  expect_status 200
  expect_answer "a GPU behind $first" '.count == 1 and .data[0] > $first' --arg first "$first"
  ask /api/v1/gpus limit=1 offset=1
  expect_status 200
  expect_answer "a GPU behind $first" '.count == 1 and .data[0] > $first' --arg first "$first"
}

gpu_described() {
  ask "$gpu_path"
  expect_status 200
  expect_answer 'itself' '.uuid == $gpu' --arg gpu "$gpu"
  expect_answer 'texts and times' '(.hostname | type) == "string" and (.stale | type) == "boolean" and .age_seconds >= 0'
  expect_answer 'first seen before last' '(.first_seen | time) <= (.last_seen | time)'
}

gpu_unknown() {
  ask "/api/v1/gpus/$unknown_gpu"
  expect_problem 404 not_found
  expect_answer 'the GPU named' '.detail | contains($gpu)' --arg gpu "$unknown_gpu"
}

gpu_metrics() {
  ask "$gpu_path/metrics"
  expect_status 200
  expect_answer 'each once, in order' '.count >= 1 and .count == (.data | length) and .data == (.data | unique)'
  expect_answer 'each described' '[.metrics[].name] == .data'
}

fleet_metrics() {
  ask "$gpu_path/metrics"
  cp "$body" "$rows"
  ask /api/v1/metrics
  expect_status 200
  expect_answer 'each once, in order' '.count == (.data | length) and .data == (.data | unique)'
  expect_answer 'each described' '[.metrics[].name] == .data'
  expect_answer 'those of the GPU among them' '$of[0].data - .data == []' --slurpfile of "$rows"
}

telemetry_newest_first() {
  ask "$gpu_path/telemetry" limit=20
  expect_status 200
  expect_answer 'rows as many as counted' '.count >= 1 and .count <= 20 and .count == (.data | length)'
  expect_answer "samples of $gpu" 'all(.data[]; .uuid == $gpu and (.value | type) == "number")' --arg gpu "$gpu"
  expect_answer 'newest first' '[.data[].timestamp | time] | . == (sort | reverse)'
}

telemetry_by_time() {
  ask_part limit=1000
  expect_status 200
  cp "$body" "$rows"
  expect_answer 'from the end to the start' '.data[0].timestamp == $last and .data[-1].timestamp == $first' \
    --arg first "$start_time" --arg last "$end_time"
  ask_part limit=1000 order=asc
  expect_status 200
  expect_answer 'oldest first, the same' '.data == ($rows[0].data | reverse)' --slurpfile rows "$rows"
}

telemetry_by_metric() {
  local metric
  metric=$(jq --raw-output '.data[0].metric_name' "$rows")
  ask_part limit=1000 "metric_name=$metric"
  expect_status 200
  expect_answer "those of $metric" '.data == [$rows[0].data[] | select(.metric_name == $metric)] and .count >= 1' \
    --slurpfile rows "$rows" --arg metric "$metric"
  ask_part limit=1000 metric_name=NO_SUCH_METRIC
  expect_status 200
  expect_answer 'none of a metric that is not there' '.data == [] and .count == 0'
}

telemetry_unknown() {
  ask "/api/v1/gpus/$unknown_gpu/telemetry"
  expect_status 200
  expect_answer 'an empty list' '.data == [] and .count == 0'
}

telemetry_fleet() {
  local host
  host=$(jq --raw-output '.data[0].hostname' "$rows")
  ask /api/v1/telemetry limit=50 "hostname=$host"
  expect_status 200
  expect_answer "samples of host $host" '.count >= 1 and all(.data[]; .hostname == $host)' --arg host "$host"
  ask /api/v1/telemetry limit=1000 "uuid=$gpu" "start_time=$start_time" "end_time=$end_time"
  expect_status 200
  expect_answer "those of $gpu" '.data == $rows[0].data' --slurpfile rows "$rows"
}

aggregates() {
  ask "$gpu_path/telemetry/export" "start_time=$start_time" "end_time=$end_time"
  cp "$body" "$pages"
  ask_part limit=1000 window=1h aggregate=count
  expect_status 200
  expect_answer 'what is asked for' '.aggregate == "count" and .window == "1h"'
  expect_answer 'every sample counted once' '([.data[].value] | add) == $exported[0].count' --slurpfile exported "$pages"
}

# Page after page, joined, is the same as all at once: `next_page` answers the parameter of the page behind those read.
compare_pages() {
  local next_page=$1 place=offset=0 page is_whole=false
  : > "$pages"
  for ((page = 1; page <= pages_max; page++)); do
    ask_part "limit=$page_rows" "$place"
    expect_status 200
    [[ $status == 200 ]] || return
    jq --compact-output '.data[]' "$body" >> "$pages"
    place=$("$next_page" "$page")
    if [[ -z $place ]]; then
      is_whole=true
      break
    fi
  done
  cp "$pages" "$body"
  # Of a part with more pages than are read, the beginning.
  expect_answer 'every row once' '. as $read | if $is_whole then $rows[0].data else $rows[0].data[:$read | length] end == $read' \
    --slurp --slurpfile rows "$rows" --argjson is_whole "$is_whole"
}

behind_cursor() {
  local cursor
  cursor=$(value '.next_cursor // empty')
  [[ -z $cursor ]] || echo "cursor=$cursor"
}

behind_offset() { [[ $(value '.count') != "$page_rows" ]] || echo "offset=$(($1 * page_rows))"; }

pages_by_cursor() { compare_pages behind_cursor; }

pages_by_offset() { compare_pages behind_offset; }

ask_export() { ask "$gpu_path/telemetry/export" "start_time=$start_time" "end_time=$end_time" "format=$1"; }

export_json() {
  ask_export json
  expect_status 200
  expect_type application/json
  expect_answer 'all rows' '.count == (.data | length) and .data[:$rows[0].count] == $rows[0].data' --slurpfile rows "$rows"
}

export_csv() {
  local exported
  ask_export json
  exported=$(value '.count')
  ask_export csv
  expect_status 200
  expect_type text/csv
  expect 'header' Timestamp,MetricName,GPUID,Device,UUID,ModelName,Hostname,Container,Pod,Namespace,Value "$(head -n 1 "$body")"
  expect 'rows' "$exported" "$(($(wc -l < "$body") - 1))"
  expect 'time of the first row' "$end_time" "$(sed -n 2p "$body" | cut -d , -f 1)"
  expect 'file name' "attachment; filename=telemetry-$gpu.csv" "$(header content-disposition | tr -d '"')"
}

export_ndjson() {
  ask_export ndjson
  expect_status 200
  expect_type application/x-ndjson
  expect_answer 'all rows' '.[:$rows[0].count] == $rows[0].data' --slurp --slurpfile rows "$rows"
}

stats() {
  ask_until '(.newest_metric | time) >= ($last | time)' /api/v1/stats --arg last "$end_time"
  expect_status 200
  expect_answer 'every GPU counted' '.total_gpus >= $gpus[0].total' --slurpfile gpus "$all_gpus"
  expect_answer 'samples counted' '.total_metrics >= $rows[0].count' --slurpfile rows "$rows"
  expect_answer 'oldest and newest sample' '(.oldest_metric | time) <= ($first | time) and (.newest_metric | time) >= ($last | time)' \
    --arg first "$start_time" --arg last "$end_time"
}

prometheus() {
  ask /metrics
  expect_status 200
  expect_type text/plain
  expect 'a metric of its type' '# TYPE ' "$(grep --only-matching '^# TYPE ' "$body" | head -n 1)"
}

expect_refusal() {
  expect_problem 400 bad_request
  expect_answer "$1 named first" '.detail | startswith($parameter + ":")' --arg parameter "$1"
}

bad_parameters() {
  ask "$gpu_path/telemetry" limit=0
  expect_refusal limit
  ask "$gpu_path/telemetry" start_time=yesterday
  expect_refusal start_time
  ask "$gpu_path/telemetry" cursor=nonsense
  expect_refusal cursor
  ask "$gpu_path/telemetry/export" format=xml
  expect_refusal format
}

unknown_path() {
  ask /api/v1/no-such-path
  expect_problem 404 not_found
}

swagger() {
  ask /swagger/index.html
  expect_status 200
  expect_type text/html
  expect 'a mention of what it loads' swagger-ui "$(grep --only-matching swagger-ui "$body" | head -n 1)"
}

openapi() {
  ask /openapi.json
  expect_status 200
  expect_type application/json
  expect_answer 'OpenAPI 3' '.openapi | startswith("3.")'
  expect_answer 'the paths that were asked' '(["/health", "/ready", "/api/v1/gpus", "/api/v1/gpus/{id}", "/api/v1/gpus/{id}/metrics",
    "/api/v1/gpus/{id}/telemetry", "/api/v1/gpus/{id}/telemetry/export", "/api/v1/telemetry", "/api/v1/metrics",
    "/api/v1/stats"] - (.paths | keys)) == []'
  cp "$body" "$pages"
  ask /swagger/doc.json
  expect_status 200
  expect_answer 'the same document' '. == $document[0]' --slurpfile document "$pages"
}

echo "checking $api_url"
wait_for_samples

check 'health is 200 and healthy' health
check 'readiness is 200 and ready' readiness
check 'all GPUs are listed, each once' gpus_listed
check 'GPUs are listed page by page' gpus_paged
check 'a GPU is described' gpu_described
check 'a GPU that is not known is 404' gpu_unknown
check 'the metrics of a GPU are listed' gpu_metrics
check 'the metrics of all GPUs are listed' fleet_metrics
check 'telemetry of a GPU is its own, newest first' telemetry_newest_first
check 'telemetry is filtered by start_time and end_time, both inclusive' telemetry_by_time
check 'telemetry is filtered by metric_name' telemetry_by_metric
check 'telemetry of a GPU that is not known is empty' telemetry_unknown
check 'telemetry of all GPUs is filtered by hostname and uuid' telemetry_fleet
check 'telemetry is aggregated in windows' aggregates
check 'pages by cursor repeat and skip nothing' pages_by_cursor
check 'pages by offset repeat and skip nothing' pages_by_offset
check 'telemetry is exported as JSON' export_json
check 'telemetry is exported as CSV' export_csv
check 'telemetry is exported as NDJSON' export_ndjson
check 'stats count what is stored' stats
check 'metrics are there for Prometheus' prometheus
check 'a bad parameter is 400 and named' bad_parameters
check 'a path that is not there is 404' unknown_path
check 'Swagger UI is served' swagger
check 'the OpenAPI document describes what is served' openapi

echo "$passed passed, $failed failed"
((failed == 0))
