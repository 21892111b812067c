#!/bin/sh
# Summarise a text on a running server: upload the graph, run it, print the final state and the log.
#
#   docs/examples/quick_run.sh [URL] [GRAPH]
#
# URL is the server's (http://localhost:8000), GRAPH a file to upload (summarize.json beside this
# script). It needs curl alone. It ends with 0 when the run has completed, otherwise with 1.

set -eu

url=${1:-http://localhost:8000}
url=${url%/}
graph=${2:-$(dirname -- "$0")/summarize.json}
json='Content-Type: application/json'

fail() {
    printf 'quick_run: %s\n' "$*" >&2
    exit 1
}

# ask METHOD PATH [CURL OPTION…]: the body of the answer is in $body.
ask() {
    method=$1 path=$2
    shift 2
    body=$(curl -sS -m 310 -w '\n%{http_code}' -X "$method" "$@" "$url$path" 2>&1) ||
        fail "no server answers at $url; start one with: steno serve ($(printf '%s' "$body" | head -n 1))"
    code=$(printf '%s\n' "$body" | tail -n 1)
    body=$(printf '%s\n' "$body" | sed '$d')
    case $code in
        2??) ;;
        *) fail "$method $url$path was answered $code: $body" ;;
    esac
}

# field NAME: print the first text of that name in $body.
field() {
    printf '%s\n' "$body" | tr ',{' '\n\n' | sed -n "s/^ *\"$1\" *: *\"\([^\"]*\)\".*/\1/p" | head -n 1
}

# show: print $body, laid out in lines if Python is there.
show() {
    if command -v python3 >/dev/null 2>&1; then
        printf '%s\n' "$body" | python3 -m json.tool --no-ensure-ascii
    else
        printf '%s\n' "$body"
    fi
}

command -v curl >/dev/null 2>&1 || fail 'curl is not installed'
[ -r "$graph" ] || fail "there is no graph $graph"

ask POST /graph/create -H "$json" --data-binary "@$graph"
graph_id=$(field graph_id)
printf 'Graph %s is uploaded.\n' "$graph_id"

ask POST /graph/run -H "$json" --data-binary @- <<JSON
{
  "graph_id": "$graph_id",
  "background": false,
  "state": {
    "text": "A lighthouse is a tower with a strong lamp at its top, built where ships must know how near the coast is. The first ones were open fires on hills. Around 280 BC a tower of stone was finished on the island of Pharos, off Alexandria, and its fire could be seen from more than 40 kilometres away. It stood for some 1,500 years, until earthquakes brought it down.\n\nFor a long time the light was the weak part of every lighthouse. Coal and candles gave little of it, and most of that went where no ship was. In 1822 Augustin Fresnel, a French engineer, cut a lens into rings, so that it was thin enough to be made and yet bent the light of a lamp into one narrow beam. A lighthouse with such a lens could be seen at the horizon, 30 kilometres out, and soon every large lighthouse had one.\n\nA beam alone does not say which lighthouse it comes from. So the lens was turned by a clockwork, and each lighthouse got a rhythm of flashes of its own, which sailors found in a printed list. The keeper wound up the clockwork every few hours, trimmed the wick of the lamp, and cleaned the soot from the lens each morning.\n\nElectric lamps made the keeper's work less, and automatic ones ended it. Most lighthouses have been without a keeper since the 1990s. Ships find their way by satellites today, but many sailors still look for the light: it needs no receiver, and nobody has ever jammed it.",
    "chunk_size": 500,
    "target_length": 300
  }
}
JSON
run_id=$(field run_id)

printf '\nFinal state of run %s:\n' "$run_id"
ask GET "/runs/$run_id/state"
show

printf '\nLog:\n'
ask GET "/runs/$run_id/events" -H 'Accept: application/x-ndjson'
printf '%s\n' "$body"

ask GET "/runs/$run_id"
status=$(field status)
printf '\nThe run is %s.\n' "$status"
[ "$status" = completed ]
