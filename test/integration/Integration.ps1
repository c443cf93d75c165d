<#
.SYNOPSIS
Checks a gateway that runs somewhere, over HTTP and as any client could: any store, and a source that goes on writing.

.DESCRIPTION
integration.sh makes the same checks, by the same names and in the same order.

Waits until the gateway at API_URL (http://localhost:8080 unless set) answers with samples, for WAIT_SECONDS (60) at most, then
makes every check: a line for each, and what was expected and what came where one failed. Exit code 0 where all passed, 1 where
one failed, 2 where it can't be run. Runs in PowerShell 7 and in Windows PowerShell 5.1.

.EXAMPLE
$env:API_URL = 'http://localhost:30080'; ./test/integration/Integration.ps1
#>
param([switch] $Help)

$ErrorActionPreference = 'Stop'

if ($Help) {
  Get-Help $PSCommandPath -Full
  exit 0
}

Add-Type -AssemblyName System.Net.Http

$apiUrl = 'http://localhost:8080'
if ($env:API_URL) { $apiUrl = $env:API_URL.TrimEnd('/') }
if ($apiUrl -notmatch '^https?://[^/]') {
  [Console]::Error.WriteLine("API_URL: $apiUrl is not accepted, expected a URL such as http://localhost:8080")
  exit 2
}
$waitSeconds = 60
if ($env:WAIT_SECONDS) {
  if ($env:WAIT_SECONDS -notmatch '^[0-9]+$') {
    [Console]::Error.WriteLine("WAIT_SECONDS: $($env:WAIT_SECONDS) is not accepted, expected a whole number of seconds")
    exit 2
  }
  $waitSeconds = [int] $env:WAIT_SECONDS
}

# Samples of one GPU that paging needs, and rows of a page of it.
$samplesMin = 8
$pageRows = 3
$pagesMax = 40
# How far figures of the whole store may be behind samples that other processes have written.
$settleSecondsMax = 20
# What has stood still for so long is written; samples on their way may be older than some that are there.
$settledSeconds = 2
$answerSecondsMax = 30
$shownCharactersMax = 300
$unknownGpu = 'GPU-00000000-unknown'

$client = New-Object System.Net.Http.HttpClient
$client.Timeout = [TimeSpan]::FromSeconds($answerSecondsMax)

# What came last: status, headers, text, and its value where it is JSON.
$script:status = 0
$script:type = ''
$script:disposition = ''
$script:text = ''
$script:answer = $null

# PowerShell 7 makes dates of texts that look like some, and loses digits: a mark keeps them texts.
function ConvertFrom-Answer([string] $text) {
  $marked = [regex]::Replace($text, '"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z)"', '"=$1"')
  try { return ConvertFrom-Json -InputObject $marked } catch { return $null }
}

# Times have as many digits as they need; without mark and Z, and with a point, they are ordered as texts.
function Get-Time([string] $time) {
  $plain = $time.TrimStart('=').TrimEnd('Z')
  if ($plain.Contains('.')) { return $plain }
  return "$plain."
}

function Compare-Text([string] $one, [string] $other) { return [string]::CompareOrdinal($one, $other) }

# Asks for a path with parameters (name=value); leaves status, headers and text.
function Request([string] $path, [string[]] $parameters = @()) {
  $query = @($parameters | Where-Object { $_ } | ForEach-Object {
      $name, $value = $_ -split '=', 2
      "$name=$([Uri]::EscapeDataString($value))"
    }) -join '&'
  $url = "$apiUrl$path"
  if ($query) { $url = "$($url)?$query" }
  $script:status = 0
  $script:type = ''
  $script:disposition = ''
  $script:text = ''
  $script:answer = $null
  try {
    $response = $client.GetAsync($url).GetAwaiter().GetResult()
    $script:text = $response.Content.ReadAsStringAsync().GetAwaiter().GetResult()
    $script:status = [int] $response.StatusCode
    if ($response.Content.Headers.ContentType) { $script:type = $response.Content.Headers.ContentType.MediaType }
    if ($response.Content.Headers.Contains('Content-Disposition')) {
      $script:disposition = @($response.Content.Headers.GetValues('Content-Disposition'))[0].Replace('"', '')
    }
    $response.Dispose()
  } catch {
    $script:text = $_.Exception.Message
    return
  }
  if ($script:type -match 'json$') { $script:answer = ConvertFrom-Answer $script:text }
}

# Asks until something is true of the answer, for a while.
function RequestUntil([scriptblock] $isTrue, [string] $path) {
  $deadline = (Get-Date).AddSeconds($settleSecondsMax)
  Request $path
  while ($script:status -eq 200 -and -not (& $isTrue) -and (Get-Date) -lt $deadline) {
    Start-Sleep -Seconds 1
    Request $path
  }
}

$script:failure = ''

# Only the first thing that is wrong in a check is told: the rest follows from it.
function Expect([string] $what, [string] $expected, [string] $got) {
  if ($script:failure -or $expected -ceq $got) { return }
  if ($got.Length -gt $shownCharactersMax) { $got = $got.Substring(0, $shownCharactersMax) }
  $script:failure = "$($what): expected $expected, got $got"
}

function ExpectStatus([int] $status) { Expect 'status' "$status" "$($script:status)" }

function ExpectType([string] $type) { Expect 'content type' $type $script:type }

function ExpectTrue([string] $what, [bool] $isTrue) {
  if (-not $isTrue) { Expect $what 'it to be so' ($script:text -replace '\s+', ' ') }
}

function ExpectProblem([int] $status, [string] $code) {
  ExpectStatus $status
  ExpectType 'application/problem+json'
  $problem = $script:answer
  ExpectTrue "a problem, $code" ($problem.status -eq $status -and $problem.error -ceq $code -and
    $problem.detail -ceq $problem.message -and $problem.detail.Length -gt 0)
}

$script:passed = 0
$script:failed = 0

function Check([string] $name, [scriptblock] $body) {
  $script:failure = ''
  try { & $body } catch { if (-not $script:failure) { $script:failure = "the check broke: $($_.Exception.Message)" } }
  if ($script:failure) {
    $script:failed++
    Write-Output "FAILED  $($name): $($script:failure)"
  } else {
    $script:passed++
    Write-Output "ok      $name"
  }
}

# Rows as texts, to be compared.
function Get-Rows($data) {
  $rows = @()
  foreach ($row in @($data)) { if ($null -ne $row) { $rows += (ConvertTo-Json -InputObject $row -Compress -Depth 5) } }
  return , $rows
}

function Test-SameRows($ones, $others) {
  return ($ones -join "`n") -ceq ($others -join "`n")
}

function Test-Ordered($texts) {
  for ($i = 1; $i -lt $texts.Count; $i++) { if ((Compare-Text $texts[$i - 1] $texts[$i]) -ge 0) { return $false } }
  return $true
}

function Test-CountedInOrder($list) {
  return $list.count -eq @($list.data).Count -and (Test-Ordered @($list.data))
}

function Test-Described($list) {
  return (@($list.metrics | ForEach-Object { $_.name }) -join ' ') -ceq (@($list.data) -join ' ')
}

# A GPU that is written to, and the times of a part of what is stored of it that grows no more.
$script:gpu = ''
$script:gpuPath = ''
$script:startTime = ''
$script:endTime = ''
$script:rows = @()
$script:gpusTotal = 0

# Whether there is enough to check; the newest samples are left out of what has to stand still.
function Find-Samples {
  Request '/ready'
  if ($script:status -ne 200) { return $false }
  Request '/api/v1/telemetry' @('limit=1')
  $newest = @($script:answer.data)
  if ($script:status -ne 200 -or $newest.Count -eq 0 -or -not $newest[0].uuid) { return $false }
  $script:gpu = $newest[0].uuid
  $script:gpuPath = "/api/v1/gpus/$([Uri]::EscapeDataString($script:gpu))"
  Request "$($script:gpuPath)/telemetry" @('limit=40')
  $data = @($script:answer.data)
  if ($script:status -ne 200 -or $data.Count -lt $samplesMin) { return $false }
  $script:startTime = $data[$data.Count - 1].timestamp.TrimStart('=')
  $script:endTime = $data[[int][Math]::Floor($data.Count / 4)].timestamp.TrimStart('=')
  RequestPart @('limit=1000')
  $part = Get-Rows $script:answer.data
  Start-Sleep -Seconds $settledSeconds
  RequestPart @('limit=1000')
  return $script:status -eq 200 -and (Test-SameRows (Get-Rows $script:answer.data) $part)
}

function Wait-Samples {
  $deadline = (Get-Date).AddSeconds($waitSeconds)
  while (-not (Find-Samples)) {
    if ((Get-Date) -ge $deadline) {
      Write-Output "waited $waitSeconds s for $samplesMin samples of a GPU at $apiUrl, in vain"
      if ($script:status -eq 0) {
        Write-Output "nobody answers: $($script:text)"
        exit 1
      }
      return
    }
    Start-Sleep -Seconds 1
  }
}

function Get-Part { return @("start_time=$($script:startTime)", "end_time=$($script:endTime)") }

# Asks for the part that grows no more, with what else is to be asked; a page holds all of it unless told.
function RequestPart([string[]] $parameters) { Request "$($script:gpuPath)/telemetry" ((Get-Part) + $parameters) }

function RequestExport([string] $format) {
  Request "$($script:gpuPath)/telemetry/export" ((Get-Part) + "format=$format")
}

# Page after page, joined, is the same as all at once: the block answers the parameter of the page behind those read.
function ComparePages([scriptblock] $nextPage) {
  $place = 'offset=0'
  $isWhole = $false
  $read = @()
  for ($page = 1; $page -le $pagesMax -and -not $isWhole; $page++) {
    RequestPart @("limit=$pageRows", $place)
    ExpectStatus 200
    if ($script:status -ne 200) { return }
    $read += (Get-Rows $script:answer.data)
    $place = & $nextPage $page
    $isWhole = -not $place
  }
  $expected = $script:rows
  # Of a part with more pages than are read, the beginning.
  if (-not $isWhole) { $expected = @($expected | Select-Object -First $read.Count) }
  ExpectTrue 'every row once' (Test-SameRows $read $expected)
}

function ExpectRefusal([string] $parameter) {
  ExpectProblem 400 'bad_request'
  ExpectTrue "$parameter named first" ("$($script:answer.detail)".StartsWith("$($parameter):"))
}

Write-Output "checking $apiUrl"
Wait-Samples

Check 'health is 200 and healthy' {
  Request '/health'
  ExpectStatus 200
  ExpectTrue 'healthy' ($script:answer.status -ceq 'healthy')
}

Check 'readiness is 200 and ready' {
  Request '/ready'
  ExpectStatus 200
  ExpectTrue 'ready' ($script:answer.status -ceq 'ready')
}

Check 'all GPUs are listed, each once' {
  RequestUntil { @($script:answer.data) -ccontains $script:gpu } '/api/v1/gpus'
  ExpectStatus 200
  ExpectTrue 'each once, in order' (Test-CountedInOrder $script:answer)
  ExpectTrue 'all of them' ($script:answer.count -eq $script:answer.total -and -not $script:answer.next_cursor)
  ExpectTrue "$($script:gpu) among them" (@($script:answer.data) -ccontains $script:gpu)
  $script:gpusTotal = [long] $script:answer.total
}

Check 'GPUs are listed page by page' {
  Request '/api/v1/gpus' @('limit=1')
  ExpectStatus 200
  ExpectTrue 'one GPU' ($script:answer.count -eq 1 -and @($script:answer.data).Count -eq 1 -and $script:answer.total -ge 1)
  $first = "$(@($script:answer.data)[0])"
  $cursor = $script:answer.next_cursor
  if (-not $cursor) {
    ExpectTrue 'no further page of one GPU' ($script:answer.total -eq 1)
    return
  }
  foreach ($place in @("cursor=$cursor", 'offset=1')) {
    Request '/api/v1/gpus' @('limit=1', $place)
    ExpectStatus 200
    ExpectTrue "a GPU behind $first" ($script:answer.count -eq 1 -and
      (Compare-Text "$(@($script:answer.data)[0])" $first) -gt 0)
  }
}

Check 'a GPU is described' {
  Request $script:gpuPath
  ExpectStatus 200
  $details = $script:answer
  ExpectTrue 'itself' ($details.uuid -ceq $script:gpu)
  ExpectTrue 'texts and times' ($details.hostname -is [string] -and $details.stale -is [bool] -and $details.age_seconds -ge 0)
  ExpectTrue 'first seen before last' ((Compare-Text (Get-Time $details.first_seen) (Get-Time $details.last_seen)) -le 0)
}

Check 'a GPU that is not known is 404' {
  Request "/api/v1/gpus/$unknownGpu"
  ExpectProblem 404 'not_found'
  ExpectTrue 'the GPU named' ("$($script:answer.detail)".Contains($unknownGpu))
}

Check 'the metrics of a GPU are listed' {
  Request "$($script:gpuPath)/metrics"
  ExpectStatus 200
  ExpectTrue 'each once, in order' ($script:answer.count -ge 1 -and (Test-CountedInOrder $script:answer))
  ExpectTrue 'each described' (Test-Described $script:answer)
}

Check 'the metrics of all GPUs are listed' {
  Request "$($script:gpuPath)/metrics"
  $ofGpu = @($script:answer.data)
  Request '/api/v1/metrics'
  ExpectStatus 200
  ExpectTrue 'each once, in order' (Test-CountedInOrder $script:answer)
  ExpectTrue 'each described' (Test-Described $script:answer)
  $ofAll = @($script:answer.data)
  ExpectTrue 'those of the GPU among them' (@($ofGpu | Where-Object { $ofAll -cnotcontains $_ }).Count -eq 0)
}

Check 'telemetry of a GPU is its own, newest first' {
  Request "$($script:gpuPath)/telemetry" @('limit=20')
  ExpectStatus 200
  $data = @($script:answer.data)
  ExpectTrue 'rows as many as counted' ($data.Count -ge 1 -and $data.Count -le 20 -and $script:answer.count -eq $data.Count)
  ExpectTrue "samples of $($script:gpu)" (@($data | Where-Object { $_.uuid -cne $script:gpu -or $null -eq $_.value }).Count -eq 0)
  $isNewestFirst = $true
  for ($i = 1; $i -lt $data.Count; $i++) {
    if ((Compare-Text (Get-Time $data[$i - 1].timestamp) (Get-Time $data[$i].timestamp)) -lt 0) { $isNewestFirst = $false }
  }
  ExpectTrue 'newest first' $isNewestFirst
}

Check 'telemetry is filtered by start_time and end_time, both inclusive' {
  RequestPart @('limit=1000')
  ExpectStatus 200
  $data = @($script:answer.data)
  $script:data = $data
  $script:rows = (Get-Rows $data)
  ExpectTrue 'from the end to the start' ($data.Count -gt 0 -and $data[0].timestamp -ceq "=$($script:endTime)" -and
    $data[$data.Count - 1].timestamp -ceq "=$($script:startTime)")
  RequestPart @('limit=1000', 'order=asc')
  ExpectStatus 200
  $reversed = (Get-Rows $script:answer.data)
  [Array]::Reverse($reversed)
  ExpectTrue 'oldest first, the same' (Test-SameRows $reversed $script:rows)
}

Check 'telemetry is filtered by metric_name' {
  $metric = $script:data[0].metric_name
  RequestPart @('limit=1000', "metric_name=$metric")
  ExpectStatus 200
  $expected = (Get-Rows @($script:data | Where-Object { $_.metric_name -ceq $metric }))
  ExpectTrue "those of $metric" ($script:answer.count -ge 1 -and (Test-SameRows (Get-Rows $script:answer.data) $expected))
  RequestPart @('limit=1000', 'metric_name=NO_SUCH_METRIC')
  ExpectStatus 200
  ExpectTrue 'none of a metric that is not there' ($script:answer.count -eq 0 -and @($script:answer.data).Count -eq 0)
}

Check 'telemetry of a GPU that is not known is empty' {
  Request "/api/v1/gpus/$unknownGpu/telemetry"
  ExpectStatus 200
  ExpectTrue 'an empty list' ($script:answer.count -eq 0 -and @($script:answer.data).Count -eq 0)
}

Check 'telemetry of all GPUs is filtered by hostname and uuid' {
  $hostname = $script:data[0].hostname
  Request '/api/v1/telemetry' @('limit=50', "hostname=$hostname")
  ExpectStatus 200
  ExpectTrue "samples of host $hostname" ($script:answer.count -ge 1 -and
    @($script:answer.data | Where-Object { $_.hostname -cne $hostname }).Count -eq 0)
  Request '/api/v1/telemetry' (@('limit=1000', "uuid=$($script:gpu)") + (Get-Part))
  ExpectStatus 200
  ExpectTrue "those of $($script:gpu)" (Test-SameRows (Get-Rows $script:answer.data) $script:rows)
}

Check 'telemetry is aggregated in windows' {
  RequestExport 'json'
  $exported = $script:answer.count
  RequestPart @('limit=1000', 'window=1h', 'aggregate=count')
  ExpectStatus 200
  ExpectTrue 'what is asked for' ($script:answer.aggregate -ceq 'count' -and $script:answer.window -ceq '1h')
  $counted = (@($script:answer.data) | Measure-Object -Property value -Sum).Sum
  ExpectTrue 'every sample counted once' ($counted -eq $exported)
}

Check 'pages by cursor repeat and skip nothing' {
  ComparePages { if ($script:answer.next_cursor) { "cursor=$($script:answer.next_cursor)" } }
}

Check 'pages by offset repeat and skip nothing' {
  ComparePages { param($page) if ($script:answer.count -eq $pageRows) { "offset=$($page * $pageRows)" } }
}

Check 'telemetry is exported as JSON' {
  RequestExport 'json'
  ExpectStatus 200
  ExpectType 'application/json'
  $exported = (Get-Rows $script:answer.data)
  ExpectTrue 'all rows' ($script:answer.count -eq $exported.Count -and
    (Test-SameRows @($exported | Select-Object -First $script:rows.Count) $script:rows))
}

Check 'telemetry is exported as CSV' {
  RequestExport 'json'
  $exported = $script:answer.count
  RequestExport 'csv'
  ExpectStatus 200
  ExpectType 'text/csv'
  $lines = @($script:text.TrimEnd("`n") -split "`n")
  Expect 'header' 'Timestamp,MetricName,GPUID,Device,UUID,ModelName,Hostname,Container,Pod,Namespace,Value' $lines[0]
  Expect 'rows' "$exported" "$($lines.Count - 1)"
  Expect 'time of the first row' $script:endTime (@($lines[1] -split ',')[0])
  Expect 'file name' "attachment; filename=telemetry-$($script:gpu).csv" $script:disposition
}

Check 'telemetry is exported as NDJSON' {
  RequestExport 'ndjson'
  ExpectStatus 200
  ExpectType 'application/x-ndjson'
  $exported = @()
  foreach ($line in @($script:text.TrimEnd("`n") -split "`n")) { $exported += (Get-Rows (ConvertFrom-Answer $line)) }
  ExpectTrue 'all rows' (Test-SameRows @($exported | Select-Object -First $script:rows.Count) $script:rows)
}

Check 'stats count what is stored' {
  RequestUntil { (Compare-Text (Get-Time $script:answer.newest_metric) (Get-Time $script:endTime)) -ge 0 } '/api/v1/stats'
  ExpectStatus 200
  $stats = $script:answer
  ExpectTrue 'every GPU counted' ($stats.total_gpus -ge $script:gpusTotal)
  ExpectTrue 'samples counted' ($stats.total_metrics -ge $script:rows.Count)
  ExpectTrue 'oldest and newest sample' ((Compare-Text (Get-Time $stats.oldest_metric) (Get-Time $script:startTime)) -le 0 -and
    (Compare-Text (Get-Time $stats.newest_metric) (Get-Time $script:endTime)) -ge 0)
}

Check 'metrics are there for Prometheus' {
  Request '/metrics'
  ExpectStatus 200
  ExpectType 'text/plain'
  ExpectTrue 'a metric of its type' ($script:text -cmatch '(?m)^# TYPE ')
}

Check 'a bad parameter is 400 and named' {
  foreach ($parameter in @('limit=0', 'start_time=yesterday', 'cursor=nonsense')) {
    Request "$($script:gpuPath)/telemetry" @($parameter)
    ExpectRefusal (@($parameter -split '=')[0])
  }
  Request "$($script:gpuPath)/telemetry/export" @('format=xml')
  ExpectRefusal 'format'
}

Check 'a path that is not there is 404' {
  Request '/api/v1/no-such-path'
  ExpectProblem 404 'not_found'
}

Check 'Swagger UI is served' {
  Request '/swagger/index.html'
  ExpectStatus 200
  ExpectType 'text/html'
  ExpectTrue 'a mention of what it loads' ($script:text -cmatch 'swagger-ui')
}

Check 'the OpenAPI document describes what is served' {
  Request '/openapi.json'
  ExpectStatus 200
  ExpectType 'application/json'
  ExpectTrue 'OpenAPI 3' ("$($script:answer.openapi)".StartsWith('3.'))
  $paths = @($script:answer.paths.PSObject.Properties | ForEach-Object { $_.Name })
  $asked = @('/health', '/ready', '/api/v1/gpus', '/api/v1/gpus/{id}', '/api/v1/gpus/{id}/metrics',
    '/api/v1/gpus/{id}/telemetry', '/api/v1/gpus/{id}/telemetry/export', '/api/v1/telemetry', '/api/v1/metrics',
    '/api/v1/stats')
  ExpectTrue 'the paths that were asked' (@($asked | Where-Object { $paths -cnotcontains $_ }).Count -eq 0)
  $document = ConvertTo-Json -InputObject $script:answer -Compress -Depth 100
  Request '/swagger/doc.json'
  ExpectStatus 200
  ExpectTrue 'the same document' ((ConvertTo-Json -InputObject $script:answer -Compress -Depth 100) -ceq $document)
}

Write-Output "$($script:passed) passed, $($script:failed) failed"
if ($script:failed -gt 0) { exit 1 }
exit 0
