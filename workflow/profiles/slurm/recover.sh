#!/usr/bin/env bash
# After a Snakemake that was killed (SIGKILL, a lost login node): end the SLURM jobs that it left behind in this work
# folder, wait until they are gone, unlock. Snakemake does not take them up again; started beside them, it would make the
# same outputs twice. `--dry-run` only lists them. Not for a folder in which a Snakemake still runs.
# Its jobs are told by their name (`slurm-jobname-prefix` of the profile): what else was started in this folder, such as
# a served judge or a session of yours, goes on.
set -euo pipefail
here=$(pwd -P)
jobs_here() {
    squeue --noheader --user "$(id -un)" --format '%i|%T|%j|%Z' |
        while IFS='|' read -r id state name folder; do
            if [ -n "$folder" ] && [ "$(cd "$folder" 2>/dev/null && pwd -P)" = "$here" ]; then echo "$id $state $name"; fi
        done
}
left_behind() { jobs_here | awk '$3 ~ /^tropism_/ {print $1, $2}'; }
others=$(jobs_here | awk '$3 !~ /^tropism_/')
if [ -n "$others" ]; then
    printf 'not of a Snakemake, left alone:\n%s\n' "$others"
fi
jobs=$(left_behind)
if [ -z "$jobs" ]; then
    echo "no jobs of $here in the queue"
else
    printf 'jobs of %s:\n%s\n' "$here" "$jobs"
fi
if [ "${1:-}" = --dry-run ]; then exit; fi
if [ -n "$jobs" ]; then
    awk '{print $1}' <<<"$jobs" | xargs scancel
    for _ in $(seq 120); do
        [ -z "$(left_behind)" ] && break
        sleep 1
    done
    if [ -n "$(left_behind)" ]; then
        echo "still there after two minutes; look at: squeue --me" >&2
        exit 1
    fi
    echo "cancelled"
fi
snakemake --unlock
