#!/bin/sh
# Stands before git on PATH. The N-th time that the engine (and nobody else) runs git with words that
# fit a pattern, the engine is killed: before git does anything, or after it has done all.
# REAL_GIT is replaced by its path: agents get no variable of ours.
# $HOME/engine.pid names the engine, $HOME/kill-at holds "SIDE N PATTERN", $HOME/killed is made.
read -r engine 2>/dev/null <"$HOME/engine.pid"
if [ "$PPID" != "$engine" ] || ! read -r side left pattern 2>/dev/null <"$HOME/kill-at"; then
  exec REAL_GIT "$@"
fi
case "$*" in
$pattern) ;;
*) exec REAL_GIT "$@" ;;
esac
left=$((left - 1))
if [ "$left" -gt 0 ]; then
  echo "$side $left $pattern" >"$HOME/kill-at"
  exec REAL_GIT "$@"
fi
rm "$HOME/kill-at"
if [ "$side" = after ]; then REAL_GIT "$@"; fi
echo "$*" >"$HOME/killed"
kill -9 "$PPID"
