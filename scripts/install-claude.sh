#!/usr/bin/env bash
# Puts the pinned Claude Code CLI into .cache/claude/bin/claude, for the tests that drive the real one.
# Does nothing when that version is there. Needs npm; the CLI itself is a native program.
set -euo pipefail
cd "$(dirname "$0")/.."

# What the tests were last seen to pass with. The oldest that the product accepts is MINIMUM_VERSION
# in hyperloop_action/adapters/agents/claude.py.
version=2.1.329

folder=.cache/claude
program=$folder/bin/claude
if [ "$("$program" --version 2>/dev/null)" = "$version (Claude Code)" ]; then
  exit 0
fi
if ! command -v npm >/dev/null; then
  echo "error: npm is needed to install Claude Code $version: https://nodejs.org/en/download" >&2
  exit 2
fi
echo "Installing Claude Code $version into $folder: once, and again when the pinned version changes"
rm -rf "$folder"
mkdir -p "$folder/bin"
# Without its install script, which only copies the native program (350 MB) a second time.
npm install --prefix "$folder" --ignore-scripts --no-save --no-audit --no-fund --loglevel=error \
  "@anthropic-ai/claude-code@$version" >/dev/null
# npm picked the one package for this system and its C library: claude-code-linux-x64, -musl, ...
native=$(cd "$folder/bin" && ls -d ../node_modules/@anthropic-ai/claude-code-*/claude)
ln -s "$native" "$program"
"$program" --version
