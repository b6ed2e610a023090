#!/usr/bin/env bash
# Tests scripts/fetch_data.sh against a server on this machine that has a tiny data set, breaks connections, resumes or
# cannot, and answers with errors. Skipped where there is no python3 (the server) or curl.
set -euo pipefail
fetch=$(cd "$(dirname "$0")" && pwd)/fetch_data.sh
for command in python3 curl unzip; do
  if ! command -v $command >/dev/null; then
    echo "test_fetch_data: skipped, no $command"
    exit 0
  fi
done
work=$(mktemp -d)
server=''
trap 'if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; fi; rm -rf "$work"' EXIT
mkdir -p "$work/site/zips"
head -c 300000 /dev/urandom >"$work/site/big.bin"
(cd "$work/site" && echo '{"images": []}' >captions.json &&
  python3 -m zipfile -c zips/a.zip captions.json && tar -cf b.tar captions.json)

cat >"$work/server.py" <<'PYTHON'
import http.server, os, re, sys
root, log, tries = sys.argv[1], open(sys.argv[2], "a", buffering=1), {}
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def do_HEAD(self): self.do_GET()
    def do_GET(self):
        mode, name = re.fullmatch(r"/(\w+)/(.*)", self.path).groups()
        path, begin = os.path.join(root, name), 0
        tries[self.path] = tries.get(self.path, 0) + 1
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        log.write(f"{self.command} {self.path} {asked.group(1) if asked else 0}\n")
        if not os.path.exists(path): return self.send_error(404)
        if mode == "busy" and tries[self.path] < 3: return self.send_error(503)
        data = open(path, "rb").read()
        if asked and mode != "norange": begin = int(asked.group(1))
        if begin and begin >= len(data): return self.send_error(416)
        self.send_response(206 if begin else 200)
        if begin: self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - begin))
        self.end_headers()
        if self.command == "HEAD": return
        piece = data[begin:]
        if mode in ("broken", "norange") and tries[self.path] <= (1 if mode == "norange" else 3):
            piece = piece[:70000]  # and the connection ends
        self.wfile.write(piece)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
PYTHON
python3 "$work/server.py" "$work/site" "$work/log" >"$work/port" &
server=$!
for _ in $(seq 100); do if [ -s "$work/port" ]; then break; fi; sleep 0.1; done
site=http://127.0.0.1:$(cat "$work/port")

sum() { sha256sum "$work/site/$1" | cut -d' ' -f1; }
entry() { echo "$1 $(wc -c <"$work/site/$1") $(sum "$1")"; }
table() { printf '%s\n' "base http://127.0.0.1:1/none" "$@" >"$work/table"; }
run() {  # run MODE OUT [MORE]: sets status and said
  local mode=$1 out=$2
  shift 2
  said=$(RETRY_WAIT=0.1 RETRIES=6 "$fetch" tiny --table "$work/table" --out "$out" --base-url "$site/$mode" "$@" 2>&1) &&
    status=0 || status=$?
}
passed=0
expect() {  # expect WHAT CONDITION..
  local what=$1
  shift
  if ! "$@"; then
    echo "FAILED: $what (exit code $status)"
    echo "$said"
    exit 1
  fi
  passed=$((passed + 1))
}
says() { [[ "$said" == *"$1"* ]]; }
same() { cmp -s "$work/site/$1" "$2"; }
exits() { [ "$status" -eq "$1" ]; }
absent() { [ ! -e "$1" ]; }

table "# a comment" "$(entry big.bin)" "$(entry zips/a.zip)" "$(entry b.tar)"
run plain "$work/plain" --unpack
expect "a whole set arrives" exits 0
expect "the bytes are right" same big.bin "$work/plain/big.bin"
expect "a zip is unpacked" same captions.json "$work/plain/captions.json"
expect "no part is left" absent "$work/plain/big.bin.part"
expect "what was seen is noted" grep -q "^big.bin 300000 $(sum big.bin) verified$" "$work/plain/fetched.txt"
before=$(wc -l <"$work/log")
run plain "$work/plain"
expect "a second run" exits 0
expect "a second run fetches nothing" [ "$(wc -l <"$work/log")" -eq "$before" ]

table "$(entry big.bin)"
run broken "$work/broken"
expect "broken connections are mended" exits 0
expect "and the bytes are right" same big.bin "$work/broken/big.bin"
expect "by going on, not from the beginning" grep -q "^GET /broken/big.bin 210000$" "$work/log"
mkdir "$work/killed" && head -c 123456 "$work/site/big.bin" >"$work/killed/big.bin.part"
run plain "$work/killed"
expect "a killed run is continued" same big.bin "$work/killed/big.bin"
expect "where it stopped" grep -q "^GET /plain/big.bin 123456$" "$work/log"
run norange "$work/norange"
expect "a server that cannot resume" same big.bin "$work/norange/big.bin"
run busy "$work/busy"
expect "a busy server" same big.bin "$work/busy/big.bin"

table "big.bin - -"
mkdir "$work/done" && cp "$work/site/big.bin" "$work/done/big.bin.part"
run plain "$work/done"
expect "a part that is whole" same big.bin "$work/done/big.bin"
expect "no checksum is known" says "not verified, no checksum is known; 300000 bytes, SHA-256 $(sum big.bin)"
expect "and that is noted" grep -q " not-verified$" "$work/done/fetched.txt"

table "big.bin 300001 $(sum big.bin)"
run plain "$work/size"
expect "a wrong size is refused" exits 2
expect "by name" says "size/big.bin: expected 300001 bytes, found 300000"
expect "and nothing is left" absent "$work/size/big.bin"
table "big.bin 300000 $(sum b.tar)"
run plain "$work/sum"
expect "a wrong checksum is refused" exits 2
expect "by name" says "sum/big.bin: expected SHA-256 $(sum b.tar), found $(sum big.bin)"
expect "and nothing is left" absent "$work/sum/big.bin.part"
cp "$work/site/b.tar" "$work/sum/big.bin"
run plain "$work/sum"
expect "a wrong file that is there is refused" exits 2
expect "and kept" same b.tar "$work/sum/big.bin"
table "none.bin - -"
run plain "$work/none"
expect "a file that the server lacks" exits 2
expect "is named" says "none.bin: the server answers 404"
table "big.bin many -"
run plain "$work/bad"
expect "a bad table is refused" exits 2
expect "by line" says "table:2: expected PATH SIZE SHA256"
kill "$server"
wait "$server" 2>/dev/null || true
server=''
table "$(entry big.bin)"
run plain "$work/gone"
expect "no server" exits 1
expect "says how to go on" says "run this again"
for set in coco2014 coco2017 karpathy cc3m cc12m sharegpt4v; do
  said=$(RETRIES=1 RETRY_WAIT=0 "$fetch" "$set" --out "$work/sets" --base-url "$site/plain" 2>&1) && status=0 || status=$?
  expect "the table of $set is read" exits 1
done
said=$("$fetch" nothing --out "$work/x" 2>&1) && status=0 || status=$?
expect "an unknown set" exits 2
expect "the known are named" says "cc12m cc3m coco2014 coco2017 karpathy sharegpt4v"
echo "test_fetch_data: $passed checks passed"
