"""A Slurm of a few made-up nodes on this machine, in a folder of its own, ended with everything that it started."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from moireloop_broker.connection import free_port
from moireloop_broker.processes.lifeline import lifeline_command
from tests.helpers.waiting import wait_until

PROGRAMS = ("munged", "slurmctld", "slurmd", "srun", "squeue", "scancel", "scontrol", "sbatch", "salloc")
SBIN = ("/usr/sbin", "/usr/local/sbin")

CONF = """\
ClusterName={prefix}
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
SlurmctldPort={port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd-%n.pid
ProctrackType={proctrack}
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
ReturnToService=2
KillWait={kill_wait_s}
OverTimeLimit=0
MinJobAge=600
SlurmctldTimeout=30
SlurmdTimeout=10
MessageTimeout=10
TCPTimeout=2
MpiDefault=none
RebootProgram=/bin/true
SlurmdParameters=config_overrides
"""
NODE = (
    "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cores} CoresPerSocket={cores} Sockets=1 "
    "ThreadsPerCore=1 RealMemory=4000 State=UNKNOWN\n"
)
PARTITIONS = """\
PartitionName=low Nodes=ALL Default=YES MaxTime=UNLIMITED State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=0
PartitionName=high Nodes=ALL Default=NO MaxTime=UNLIMITED State=UP PriorityTier=10 PreemptMode=OFF
"""


def why_no_slurm() -> str | None:
    """Why a Slurm cannot be started here, in words; None where it can."""
    missing = [name for name in PROGRAMS if _program(name) is None]
    if missing:
        return f"no {missing[0]} here: apt-get install the packages of tests/debian-packages.txt"
    return None if os.getuid() == 0 else "slurmd needs root to start a Slurm"


def _program(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *SBIN]))


class Slurm:
    """munged, slurmctld and one slurmd for each node; `environment` is what its commands need.

    Names of nodes are new for each, so that several may run on one machine.
    """

    def __init__(self, nodes: int = 2, cores: int = 1, kill_wait_s: int = 2) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="moireloop-slurm-"))
        port, *ports = (free_port("127.0.0.1") for _ in range(nodes + 1))
        prefix = f"ml{port}"
        self.nodes = [f"{prefix}n{number}" for number in range(1, nodes + 1)]
        self.environment = {**os.environ, "SLURM_CONF": str(self.folder / "slurm.conf")}
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        for name in ("state", "spool", "log", "munge", "run", *(f"spool/{node}" for node in self.nodes)):
            (self.folder / name).mkdir(mode=0o755)
        host, user = socket.gethostname().partition(".")[0], pwd.getpwuid(os.getuid()).pw_name
        text = CONF.format(
            prefix=prefix, host=host, user=user, folder=self.folder, port=port, kill_wait_s=kill_wait_s,
            proctrack="proctrack/cgroup" if _freezer_is_ours() else "proctrack/linuxproc",
        )  # fmt: skip
        for name, node_port in zip(self.nodes, ports, strict=True):
            text += NODE.format(name=name, host=host, port=node_port, cores=cores)
        (self.folder / "slurm.conf").write_text(text + PARTITIONS)
        (self.folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        key = self.folder / "munge" / "key"
        key.touch(0o600)
        key.write_bytes(secrets.token_bytes(256))

    def start(self) -> None:
        """Start all daemons, and wait until every node is idle."""
        munge, run = self.folder / "munge", self.folder / "run"
        self._daemon(
            "munged", "--foreground", "--force", "--num-threads=1", f"--key-file={munge / 'key'}",
            f"--socket={munge / 'socket'}", f"--pid-file={run / 'munged.pid'}", f"--seed-file={munge / 'seed'}",
            f"--log-file={self.folder / 'log' / 'munged.log'}",
        )  # fmt: skip
        wait_until(lambda: (munge / "socket").exists(), "munged listens")
        self._daemon("slurmctld", "-D", "-c", "-f", str(self.folder / "slurm.conf"))
        for node in self.nodes:
            self.start_node(node)
        wait_until(lambda: self.states().count("idle") == len(self.nodes), "all nodes are idle", 30)

    def start_node(self, node: str) -> None:
        """Start the slurmd of a node."""
        self._daemon(f"slurmd-{node}", "-D", "-N", node, "-f", str(self.folder / "slurm.conf"))

    def _daemon(self, name: str, *options: str) -> None:
        program = _program(name.partition("-")[0])
        assert program is not None
        with (self.folder / "log" / f"{name}.out").open("ab") as output:
            self.daemons[name] = subprocess.Popen(
                lifeline_command([program, *options], signal.SIGKILL),
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=self.environment, start_new_session=True,
            )  # fmt: skip

    def command(self, *words: str, check: bool = True) -> str:
        """What a command of Slurm's says."""
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=60)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(words)} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def states(self) -> list[str]:
        """The state of each node."""
        return self.command("sinfo", "-h", "-N", "-p", "low", "-o", "%T", check=False).split()

    def allocate(self, nodes: int, *options: str) -> str:
        """The id of a job that holds so many nodes, one task each, without running anything."""
        words = ["salloc", "--no-shell", "-N", str(nodes), "--exclusive", "--no-kill", *options]
        said = self.command(*words)
        return said.partition("allocation ")[2].split()[0]

    def release(self, job: str) -> None:
        """End a job, and wait until all of its nodes are idle again."""
        self.command("scancel", job, check=False)
        wait_until(lambda: not self.command("squeue", "-h", "-j", job, check=False).strip().isdigit(), "the job ended")

    def job_environment(self, job: str) -> Mapping[str, str]:
        """What a process in a job has in its environment."""
        return {**self.environment, "SLURM_JOB_ID": job}

    def stop(self) -> None:
        """End all jobs, all daemons, and what is left of steps."""
        self.command("scancel", "-s", "KILL", f"--user={os.getuid()}", check=False)
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not self.command("squeue", "-h", "-t", "R,CG", check=False).split(), "no job runs", 10)
        for daemon in reversed(self.daemons.values()):
            daemon.kill()
            daemon.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def _freezer_is_ours() -> bool:
    """Whether Slurm can hold the processes of a step together by a cgroup; else it goes by their parents."""
    return os.access("/sys/fs/cgroup/freezer/tasks", os.W_OK)
