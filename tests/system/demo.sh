#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The main job, step by step, on a private instance of the service: tests/system/demo.sh DIRECTORY-OF-THE-BINARIES
# Each step says what it shows and checks it; the exit status is 0 only if all came out right. Nothing is left behind.
set -euo pipefail

BIN=$(readlink -f "${1:?usage: demo.sh DIRECTORY-OF-THE-BINARIES}")
readonly BIN SIZE=65536
SCRATCH='' DAEMON='' SHELL_PID='' USER_ID='' CTL=''

title() { if [[ -t 1 ]]; then printf '\n\033[1m%s\033[0m\n' "$*"; else printf '\n%s\n' "$*"; fi; }
shown() { printf '    %s\n' "$@"; }
good() { printf '    ok: %s\n' "$*"; }
die() {
    printf '    NOT OK: %s\n' "$*" >&2
    if [[ -s $SCRATCH/log ]]; then printf 'The log of the service:\n' >&2; cat "$SCRATCH/log" >&2; fi
    exit 1
}
# expect WHAT GOT WANTED
expect() { if [[ $2 == "$3" ]]; then good "$1"; else die "$1: it is '$2', and should be '$3'"; fi; }

clean_up() {
    local status=$?
    if [[ -n $SHELL_PID ]]; then kill -KILL "$SHELL_PID" 2>/dev/null || true; fi
    if [[ -n $DAEMON ]]; then
        kill "$DAEMON" 2>/dev/null || true
        wait "$DAEMON" 2>/dev/null || true
    fi
    if [[ -n $SCRATCH ]]; then rm -rf --one-file-system "$SCRATCH"; fi
    exit "$status"
}

# An id that no user of this host has, and that no pool of the service contains.
choose_user() {
    for ((USER_ID = 59000; USER_ID < 60000; USER_ID++)); do
        getent passwd "$USER_ID" >/dev/null || getent group "$USER_ID" >/dev/null || return 0
    done
    die "no free uid from 59000 on"
}

as_user() { setpriv --reuid "$USER_ID" --regid "$USER_ID" --clear-groups --inh-caps=-all -- "$@"; }

# The tool is copied, since the checkout may lie in a home directory that the unprivileged user cannot enter, and to the
# first place that is not mounted noexec.
choose_scratch() {
    local place
    for place in /dev/shm /run /tmp /var/tmp; do
        SCRATCH=$(mktemp -d "$place/nsresourced-demo.XXXXXX" 2>/dev/null) || continue
        chmod 0755 "$SCRATCH"
        CTL=$SCRATCH/nsresourcectl
        if cp "$BIN/nsresourcectl" "$CTL" && as_user "$CTL" --version >/dev/null 2>&1; then return; fi
        rm -rf "$SCRATCH"
        SCRATCH=''
    done
    die "no directory was found from which uid $USER_ID can run $BIN/nsresourcectl"
}

ctl() { as_user "$CTL" --socket="$SCRATCH/run/io.systemd.NamespaceResource" --no-pager "$@"; }
entries() { find "$SCRATCH/run/nsresource/registry" -name '*.userns' -type f | wc -l; }

start_service() {
    mkdir "$SCRATCH/run" "$SCRATCH/state" "$SCRATCH/mnt"
    : >"$SCRATCH/conf"
    "$BIN/nsresourced" --runtime-dir="$SCRATCH/run" --state-dir="$SCRATCH/state" --config="$SCRATCH/conf" \
        --enforcement=auto 2>"$SCRATCH/log" &
    DAEMON=$!
    for ((i = 0; i < 100; i++)); do
        kill -0 "$DAEMON" 2>/dev/null || die "the service ended at once"
        if ctl status >/dev/null 2>&1; then return; fi
        sleep 0.1
    done
    die "the service did not answer within 10 seconds"
}

# inside COMMAND - runs it in the shell inside the namespace; REPLY is what it wrote.
inside() {
    local line lines=()
    printf '%s; echo "--- $?"\n' "$*" >&"${INSIDE[1]}"
    while IFS= read -r -t 20 -u "${INSIDE[0]}" line; do
        if [[ $line == '--- 0' ]]; then REPLY=$(printf '%s\n' "${lines[@]}"); return; fi
        if [[ $line == '--- '* ]]; then die "inside, '$*' failed: ${lines[*]}"; fi
        lines+=("$line")
    done
    die "the shell inside did not answer '$*'"
}

trap clean_up EXIT
trap 'exit 130' INT TERM
choose_user
choose_scratch

title "1. A private instance of the service"
start_service
mapfile -t lines < <(ctl status)
shown "${lines[@]}"
good "it answers, its files are below $SCRATCH"

title "2. An unprivileged user (uid $USER_ID) gets $SIZE ids for a user namespace of its own"
shown "\$ nsresourcectl run --name=demo -- sh"
coproc INSIDE { ctl run --name=demo -- sh 2>&1; }
# bash forgets this variable when the coprocess ends.
coprocess=$INSIDE_PID
inside 'id -u; id -g'
expect "the shell is root inside" "${REPLY//$'\n'/:}" 0:0
# shellcheck disable=SC2016 # the shell inside is to expand it
inside 'echo $$'
SHELL_PID=$REPLY

title "3. The maps, from inside and from outside"
inside 'cat /proc/self/uid_map'
shown "inside,  /proc/self/uid_map: $REPLY"
read -r target start size <<<"$REPLY"
shown "outside, /proc/$SHELL_PID/uid_map: $(cat "/proc/$SHELL_PID/uid_map")"
expect "the range starts at 0 inside" "$target" 0
expect "it has $SIZE ids" "$size" "$SIZE"
expect "it starts at a multiple of $SIZE outside" "$((start % SIZE))" 0
expect "uids and gids are mapped alike" "$(tr -s ' ' <"/proc/$SHELL_PID/gid_map")" "$(tr -s ' ' <"/proc/$SHELL_PID/uid_map")"
expect "outside, the shell runs as the first id of the range" "$(stat -c %u "/proc/$SHELL_PID")" "$start"

title "4. Files with several owners, on a file system of its own"
inside "mount -t tmpfs demo $SCRATCH/mnt"
inside "cd $SCRATCH/mnt && touch mine theirs && chown 1000:1001 theirs && stat -c '%n %u:%g' *"
shown "inside:  ${REPLY//$'\n'/, }"
expect "inside, chown to another mapped id works" "$REPLY" $'mine 0:0\ntheirs 1000:1001'
owners=$(cd "/proc/$SHELL_PID/root$SCRATCH/mnt" && stat -c '%n %u:%g' -- *)
shown "outside: ${owners//$'\n'/, }"
expect "outside, the owners are ids of the range" "$owners" \
    "mine $start:$start"$'\n'"theirs $((start + 1000)):$((start + 1001))"
expect "other mount namespaces do not see them" "$(ls -A "$SCRATCH/mnt")" ""

title "5. What the service knows"
mapfile -t lines < <(ctl list)
shown "\$ nsresourcectl list" "${lines[@]}"
name=$USER_ID-demo
expect "one namespace is listed" "$(ctl --json=short list | grep -o '"name"' | wc -l)" 1
mapfile -t lines < <(ctl show "$((start + 1000))")
shown "\$ nsresourcectl show $((start + 1000))" "${lines[@]}"
expect "the user database knows uid $((start + 1000))" \
    "$(printf '%s\n' "${lines[@]}" | grep -c "ns-$name-1000\\b")" 1
expect "the record on disk can be found by name" \
    "$(stat -c %i "$SCRATCH/run/nsresource/registry/n$name.userns")" \
    "$(stat -c %i "$SCRATCH/run/nsresource/registry/u$start.userns")"
shown "$(cat "$SCRATCH/run/nsresource/registry/n$name.userns")"

title "6. The shell ends, the namespace dies, and all of it is released"
printf 'exit 42\n' >&"${INSIDE[1]}"
status=0
wait "$coprocess" || status=$?
SHELL_PID=''
expect "the exit status of the command came through" "$status" 42
for ((i = 0; i < 50; i++)); do
    if [[ $(entries) == 0 ]]; then break; fi
    sleep 0.1
done
expect "no record is left in the registry" "$(entries)" 0
mapfile -t lines < <(ctl list)
shown "\$ nsresourcectl list" "${lines[@]}"
expect "the list is empty" "$(ctl --json=short list)" "[]"
if ctl show "$start" >/dev/null 2>&1; then die "uid $start is still known"; fi
good "uid $start is nobody's again"

title "7. The service ends"
kill "$DAEMON"
status=0
wait "$DAEMON" || status=$?
DAEMON=''
expect "its exit status" "$status" 0
good "the scratch directory goes, too"
