#!/bin/sh
# Runs a server while a spec holds the other end of stdin: keep.sh FOLDER SIGNAL COMMAND...
# A line from there, or its end, ends the server by SIGNAL, in the worst case by force, and removes the folder. The
# folder gets `pid`, `log`, and `ended` with the status when the server is no more; it lives for five minutes at most.
dir=$1 signal=$2
shift 2
unset LD_PRELOAD
trap '' INT # the terminal's: the specs decide

serve() {
  timeout --foreground -k 5 -s "$signal" 300 "$@" </dev/null >"$dir/log" 2>&1 &
  echo $! >"$dir/pid"
  wait $!
  echo $? >"$dir/ended"
}

cd "$dir" || exit
exec 2>/dev/null
serve "$@" &
read -r _
until [ -s "$dir/pid" ]; do sleep 0.01; done
[ -e "$dir/ended" ] || kill -s "$signal" "$(cat "$dir/pid")"
wait
cd /
rm -rf "$dir"
