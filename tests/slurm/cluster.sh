#!/usr/bin/env bash
# Small SLURM cluster on loopback, without systemd, for tests.
#
#   cluster.sh install   apt packages (needs root)
#   cluster.sh start     write the configuration, start the daemons, wait until a job runs
#   cluster.sh stop      cancel what is queued, end the daemons this script started
#   cluster.sh kill NAME     SIGKILL one daemon (slurmctld, slurmd.<node>): fault tests
#   cluster.sh revive NAME   start it again on the state it left
#   cluster.sh status    pids, sinfo, squeue
#   cluster.sh env       print the export line for `eval`
#
# Everything lives under $SLURM_LAB_DIR; nothing in /etc/slurm or /run is used.
# Any user can run it (root is not needed after `install`): the daemons run as the caller.
#
# Settings (environment):
#   SLURM_LAB_DIR    state folder                                                  [/tmp/tropism-slurm]
#   SLURM_LAB_CPUS   CPUs the node claims (may exceed the real ones)               [nproc]
#   SLURM_LAB_MEM    MiB of memory the node claims                                 [real - 5 %]
#   SLURM_LAB_GPUS   fake GPUs, 1 to 5                                             [2]
#   SLURM_LAB_PORT   first of two TCP ports: slurmctld, slurmd                     [6817]
#   SLURM_LAB_MINJOBAGE  seconds a finished job stays visible to squeue            [300]
#   SLURM_LAB_KEEP   1: start on the state and job numbers of the last run         [unset: wipe]
set -euo pipefail

DIR=${SLURM_LAB_DIR:-/tmp/tropism-slurm}
GPUS=${SLURM_LAB_GPUS:-2}
CPUS=${SLURM_LAB_CPUS:-$(nproc)}
MEM=${SLURM_LAB_MEM:-$(awk '/^MemTotal/{print int($2/1024*0.95)}' /proc/meminfo)}
PORT=${SLURM_LAB_PORT:-6817}
MINJOBAGE=${SLURM_LAB_MINJOBAGE:-300}
HOST=$(hostname -s)
ME=$(id -un)
PATH=$PATH:/usr/sbin:/sbin
export SLURM_CONF=$DIR/etc/slurm.conf

say() { printf '[cluster %6.2fs] %s\n' "$(now_since)" "$*" >&2; }
T0=$(date +%s%N)
now_since() { awk -v a="$T0" -v b="$(date +%s%N)" 'BEGIN{print (b-a)/1e9}'; }

# --- processes: a pid file holds "pid starttime", so a reused pid is never signalled
# (empty for a process that is gone, or that has ended and only waits to be reaped)
start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" {print $20}'; }
alive() {  # NAME -> 0 when the process recorded under NAME still runs
    local pid t
    [ -r "$DIR/run/$1.lab" ] || return 1
    read -r pid t <"$DIR/run/$1.lab"
    [ -n "$t" ] && [ "$(start_time "$pid")" = "$t" ]
}
launch() {  # NAME COMMAND...
    local name=$1; shift
    LAST=$name
    if alive "$name"; then say "$name already runs"; return; fi
    # own session, own process group, no terminal, no inherited descriptors worth keeping
    setsid "$@" </dev/null >>"$DIR/log/$name.out" 2>&1 &
    local pid=$!
    disown "$pid" 2>/dev/null || true
    printf '%s %s\n' "$pid" "$(start_time "$pid")" >"$DIR/run/$name.lab"
}
finish() {  # SIGNAL NAME...: signal all, then wait up to 15 s for all
    local sig=$1 name pid t i left ended=; shift
    for name in "$@"; do
        if alive "$name"; then
            read -r pid t <"$DIR/run/$name.lab"
            kill "-$sig" "$pid" 2>/dev/null || true
            ended+=" $name($pid)"
        fi
    done
    for ((i = 0; i < 300; i++)); do
        left=
        for name in "$@"; do alive "$name" && left+=" $name"; done
        [ -z "$left" ] && break
        sleep 0.05
    done
    for name in "$@"; do
        if alive "$name"; then
            read -r pid t <"$DIR/run/$name.lab"
            say "$name ($pid) ignores SIG$sig, SIGKILL"; kill -KILL "$pid" || true
        fi
        rm -f "$DIR/run/$name.lab"
    done
    [ -z "$ended" ] || say "ended:$ended"
}
wait_for() {  # SECONDS TEXT COMMAND...: until COMMAND works, or the daemon last launched has died
    local end=$((SECONDS + $1)) text=$2; shift 2
    while [ $SECONDS -lt $end ] && alive "$LAST"; do
        if "$@" >/dev/null 2>&1; then say "$text"; return 0; fi
        sleep 0.1
    done
    say "FAILED, $LAST: $text"
    tail -n 8 "$DIR/log/$LAST.out" >&2 || true
    return 1
}

# --- configuration
write_conf() {
    local f live=
    for f in "$DIR"/run/*.lab; do f=${f##*/}; alive "${f%.lab}" && live=1; done
    if [ -z "$live" ] && [ -z "${SLURM_LAB_KEEP:-}" ]; then
        rm -rf "$DIR"/{log,spool,state}   # job numbers start at 1 again
    fi
    mkdir -p "$DIR"/{etc,log,run,spool,state}
    chmod 755 "$DIR" "$DIR"/{etc,log,run,spool,state}
    if [ ! -s "$DIR/etc/munge.key" ]; then
        (umask 077; head -c 1024 /dev/urandom >"$DIR/etc/munge.key")
    fi
    local n FAKE=(/dev/null /dev/zero /dev/full /dev/random /dev/urandom)
    if [ "$GPUS" -lt 1 ] || [ "$GPUS" -gt ${#FAKE[@]} ]; then say "1 to ${#FAKE[@]} fake GPUs"; exit 2; fi
    cat >"$DIR/etc/slurm.conf" <<CONF
ClusterName=lab
SlurmctldHost=$HOST(127.0.0.1)
SlurmUser=$ME
SlurmdUser=$ME
SlurmctldPort=$PORT
SlurmdPort=$((PORT + 1))
AuthType=auth/munge
# cred_expire is also how long a requeued batch job waits before it may start again (120 s by default)
AuthInfo=socket=$DIR/run/munge.socket,cred_expire=10
CredType=cred/munge
StateSaveLocation=$DIR/state
SlurmdSpoolDir=$DIR/spool/%n
SlurmctldPidFile=$DIR/run/slurmctld.pid
SlurmdPidFile=$DIR/run/slurmd.%n.pid
SlurmctldLogFile=$DIR/log/slurmctld.log
SlurmdLogFile=$DIR/log/slurmd.%n.log
SlurmctldDebug=info
SlurmdDebug=info
# no cgroups, no systemd
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=2
JobAcctGatherParams=OverMemoryKill
# scheduling
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=5,bf_interval=5,batch_sched_delay=0
SlurmdParameters=config_overrides
ReturnToService=2
EnforcePartLimits=ALL
MinJobAge=$MINJOBAGE
KillWait=5
MessageTimeout=20
SlurmctldTimeout=30
SlurmdTimeout=30
InactiveLimit=0
JobRequeue=1
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$DIR/log/jobcomp.txt
GresTypes=gpu
NodeName=$HOST NodeAddr=127.0.0.1 Port=$((PORT + 1)) CPUs=$CPUS RealMemory=$MEM Gres=gpu:$GPUS State=UNKNOWN
PartitionName=cpu Nodes=$HOST Default=YES DefaultTime=10 MaxTime=2880 DefMemPerCPU=100 State=UP
PartitionName=gpu Nodes=$HOST Default=NO  DefaultTime=10 MaxTime=2880 DefMemPerCPU=100 State=UP
CONF
    # slurmd wants a real, distinct device file for each GPU (a plain file or a bare Count gives
    # no CUDA_VISIBLE_DEVICES, or an INVAL node); these exist everywhere, and with
    # task/none nothing is done to them
    : >"$DIR/etc/gres.conf"
    for ((n = 0; n < GPUS; n++)); do
        printf 'NodeName=%s Name=gpu File=%s\n' "$HOST" "${FAKE[n]}" >>"$DIR/etc/gres.conf"
    done
    # Snakemake takes every SLURM_* variable, SLURM_CONF too, out of the environment of the
    # srun inside a job (and out of its own when it runs inside a job); with no
    # /etc/slurm/slurm.conf the clients then find no cluster: hence these, first in PATH
    local c
    mkdir -p "$DIR/bin"
    for c in srun sbatch squeue scancel scontrol sinfo sacct sacctmgr sshare; do
        printf '#!/bin/sh\nSLURM_CONF=%s exec /usr/bin/%s "$@"\n' "$SLURM_CONF" "$c" >"$DIR/bin/$c"
        chmod 755 "$DIR/bin/$c"
    done
}
daemon() {  # NAME: start the SLURM daemon of that name
    case $1 in
    slurmctld) launch slurmctld slurmctld -D; wait_for 30 "slurmctld answers" scontrol ping ;;
    slurmd.*) mkdir -p "$DIR/spool/${1#slurmd.}"; launch "$1" slurmd -D -N "${1#slurmd.}" ;;
    *) say "no such daemon: $1"; return 2 ;;
    esac
}

up() { [ "$(sinfo -h -o %T | sort -u)" = idle ]; }

do_start() {
    write_conf
    launch munged munged --foreground --force --key-file="$DIR/etc/munge.key" --socket="$DIR/run/munge.socket" \
        --pid-file="$DIR/run/munged.pid" --seed-file="$DIR/run/munged.seed" --log-file="$DIR/log/munged.log"
    wait_for 10 "munged answers" munge -S "$DIR/run/munge.socket" -n
    daemon slurmctld
    daemon "slurmd.$HOST"
    wait_for 30 "nodes idle" up
    say "srun says: $(srun -p gpu --gres=gpu:1 -t 1 bash -c 'echo host=$(hostname) CUDA_VISIBLE_DEVICES=$CUDA_VISIBLE_DEVICES')"
    say "ready; now: eval \"\$($0 env)\""
}
do_stop() {
    local i f names=(slurmctld)
    if alive slurmctld; then
        # jobs first: slurmstepd processes outlive slurmd
        squeue -h -o %A 2>/dev/null | sort -u | xargs -r scancel 2>/dev/null || true
        for ((i = 0; i < 100; i++)); do
            [ -z "$(squeue -h -t R,CG -o %A 2>/dev/null)" ] && break
            sleep 0.1
        done
    fi
    for f in "$DIR"/run/slurmd.*.lab; do [ -e "$f" ] && { f=${f##*/}; names+=("${f%.lab}"); }; done
    finish TERM "${names[@]}"
    finish TERM munged
    say "stopped"
}
do_status() {
    local n
    for n in "$DIR"/run/*.lab; do
        [ -e "$n" ] || continue
        n=${n##*/}; n=${n%.lab}
        if alive "$n"; then echo "$n: pid $(cut -d' ' -f1 "$DIR/run/$n.lab")"; else echo "$n: DEAD"; fi
    done
    alive slurmctld && { sinfo -o '%P %a %D %T %C %m %G %E'; squeue -a; }
}

case ${1:-} in
install)
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    apt-get install -y -q --no-install-recommends slurm-wlm munge ;;
start) trap '[ $? = 0 ] || do_stop' EXIT; do_start ;;
stop) do_stop ;;
status) do_status ;;
env) echo "export SLURM_CONF=$SLURM_CONF PATH=$DIR/bin:\$PATH" ;;
kill) finish KILL "${2:?which daemon}" ;;
revive) daemon "${2:?which daemon}" ;;
*) sed -n '2,22p' "$0"; exit 2 ;;
esac
