#!/usr/bin/env bash
# Fetches a public data set:
#   scripts/fetch_data.sh SET --out DIR [--base-url URL] [--unpack] [--table FILE]
# SET is a table in data/fetch (coco2014, coco2017, karpathy, cc3m, cc12m, sharegpt4v) with the address, and the size and
# SHA-256 of every file. Downloads go to FILE.part, are resumed and tried again (RETRIES, 8; RETRY_WAIT seconds between, 5),
# and get their name when size and checksum are right. What is there already is checked, not fetched. --unpack unpacks
# zip and tar files into DIR. Exit codes: 0 fetched, 1 the network failed, 2 a wrong file, size, checksum or call.
set -euo pipefail
tables=$(cd "$(dirname "$0")/.." && pwd)/data/fetch

die() {  # die CODE MESSAGE
  echo "fetch_data: $2" >&2
  exit "$1"
}
needs_value() { [ $# -ge 2 ] || die 2 "$1: expected a value"; }

set_name='' out='' base_url='' table='' unpack=0
while [ $# -gt 0 ]; do
  case $1 in
    --out) needs_value "$@"; out=$2; shift ;;
    --base-url) needs_value "$@"; base_url=$2; shift ;;
    --table) needs_value "$@"; table=$2; shift ;;
    --unpack) unpack=1 ;;
    --help) sed -n '2,/^set/{/^set/d; s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    -*) die 2 "$1: unknown; known are --out, --base-url, --table, --unpack" ;;
    *) [ -z "$set_name" ] || die 2 "$1: one set at a time"; set_name=$1 ;;
  esac
  shift
done
table=${table:-$tables/$set_name.txt}
if [ -z "$set_name" ] || [ ! -f "$table" ]; then
  die 2 "expected a set, one of $(basename -a -s .txt "$tables"/*.txt | paste -sd' '); found \"$set_name\""
fi
[ -n "$out" ] || die 2 "--out DIR is required"
mkdir -p "$out"

bytes_of() { wc -c <"$1" | tr -d ' '; }
sha256_of() { if command -v sha256sum >/dev/null; then sha256sum <"$1"; else shasum -a 256 <"$1"; fi | cut -d' ' -f1; }

# One attempt: appends what is missing to the part. 0 done, 1 try again, 2 no use.
attempt() {
  local url=$1 part=$2 status code
  code=$(curl --fail --location --silent --show-error --connect-timeout 30 --speed-time 60 --speed-limit 1 \
    --continue-at - --output "$part" --write-out '%{http_code}' "$url") && status=0 || status=$?
  case $status:$code in
    0:*) return 0 ;;
    33:*) rm -f "$part"; return 1 ;;  # the server cannot resume: from the beginning
    22:416)  # nothing is missing, if the part is as long as the file
      local whole
      whole=$(curl --fail --location --silent --head "$url" | tr -d '\r' | awk 'tolower($1) == "content-length:" { n = $2 } END { print n }')
      [ "$whole" = "$(bytes_of "$part")" ] && return 0
      rm -f "$part"
      return 1 ;;
    22:408 | 22:429 | 22:5*) return 1 ;;
    22:*) echo "fetch_data: $url: the server answers $code" >&2; return 2 ;;
    *) return 1 ;;
  esac
}

download() {
  local url=$1 part=$2 size=$3 status
  for ((try = 1; try <= ${RETRIES:-8}; ++try)); do
    if [ -f "$part" ] && [ "$size" != - ] && [ "$(bytes_of "$part")" -ge "$size" ]; then return 0; fi
    if [ -s "$part" ]; then echo "  goes on at $(bytes_of "$part") bytes"; fi
    attempt "$url" "$part" && status=0 || status=$?
    if [ $status -eq 0 ]; then return 0; fi
    if [ $status -eq 2 ]; then exit 2; fi
    sleep "${RETRY_WAIT:-5}"
  done
  die 1 "$url: gave up after ${RETRIES:-8} attempts; run this again to go on"
}

# check FILE NAME SIZE SHA256: sets seen_size and seen_sha; says what is wrong
check() {
  seen_size=$(bytes_of "$1")
  [ "$3" = - ] || [ "$3" = "$seen_size" ] || { echo "$2: expected $3 bytes, found $seen_size"; return 1; }
  seen_sha=$(sha256_of "$1")
  [ "$4" = - ] || [ "$4" = "$seen_sha" ] || { echo "$2: expected SHA-256 $4, found $seen_sha"; return 1; }
}

fetch() {
  local path=$1 size=$2 sha=$3 file=$out/${1##*/} wrong
  if [ -f "$file" ]; then
    check "$file" "$file" "$size" "$sha" >"$out/.wrong" || { wrong=$(cat "$out/.wrong"); die 2 "$wrong; remove it to fetch it again"; }
    echo "$file: there already"
  else
    echo "$file: from $base_url/$path"
    download "$base_url/$path" "$file.part" "$size"
    check "$file.part" "$file" "$size" "$sha" >"$out/.wrong" ||
      { wrong=$(cat "$out/.wrong"); rm -f "$file.part"; die 2 "$wrong; removed"; }
    mv "$file.part" "$file"
  fi
  local verdict=verified
  if [ "$sha" = - ]; then
    verdict=not-verified
    echo "$file: not verified, no checksum is known; $seen_size bytes, SHA-256 $seen_sha"
  fi
  printf '%s %s %s %s\n' "$path" "$seen_size" "$seen_sha" "$verdict" >>"$out/fetched.txt"
  if [ $unpack -eq 0 ]; then return 0; fi
  case $file in
    *.zip) unzip -q -o "$file" -d "$out" || die 2 "$file: cannot be unpacked" ;;
    *.tar | *.tar.gz | *.tgz) tar -xf "$file" -C "$out" || die 2 "$file: cannot be unpacked" ;;
  esac
}

trap 'rm -f "$out/.wrong"' EXIT
line=0
while read -r path size sha rest || [ -n "$path" ]; do
  line=$((line + 1))
  case $path in
    '' | \#*) continue ;;
    base) base_url=${base_url:-$size}; base_url=${base_url%/}; continue ;;
  esac
  [[ "$size" =~ ^([0-9]+|-)$ && "$sha" =~ ^([0-9a-f]{64}|-)$ && -z "$rest" && "/$path/" != */../* ]] ||
    die 2 "$table:$line: expected PATH SIZE SHA256 (- where unknown), found \"$path $size $sha $rest\""
  [ -n "$base_url" ] || die 2 "$table:$line: no base address before the first file"
  fetch "$path" "$size" "$sha" </dev/null
done <"$table"
echo "fetch_data: $set_name is in $out"
