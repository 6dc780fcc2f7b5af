"""A Slurm with a few made-up nodes on this machine, in its own folder, ended with everything that it started."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from moireloop_broker.connection import free_port
from moireloop_broker.processes.lifeline import lifeline_command
from tests.helpers.rank_processes import environment_of
from tests.helpers.schedulers import Held
from tests.helpers.waiting import wait_until

PROGRAMS = ("munged", "slurmctld", "slurmd", "srun", "squeue", "scancel", "scontrol", "sbatch", "salloc")
SBIN = ("/usr/sbin", "/usr/local/sbin")

ON_LOOPBACK = {"UCX_NET_DEVICES": "lo", "FI_TCP_IFACE": "lo", "FI_SOCKETS_IFACE": "lo"}
"""Both nodes are this machine. MPI would also try the bridges that other tests make and remove meanwhile."""

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
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=1000
GresTypes=gpu
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
    "ThreadsPerCore=1 RealMemory=8000 Gres=gpu:{gpus} State=UNKNOWN\n"
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

    def __init__(self, nodes: int = 2, cores: int = 1, gpus: int = 2, kill_wait_s: int = 2) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="moireloop-slurm-"))
        port, *ports = (free_port("127.0.0.1") for _ in range(nodes + 1))
        prefix = f"ml{port}"
        self.nodes = [f"{prefix}n{number}" for number in range(1, nodes + 1)]
        self.environment = {**os.environ, **ON_LOOPBACK, "SLURM_CONF": str(self.folder / "slurm.conf")}
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        for name in ("state", "spool", "log", "munge", "run", *(f"spool/{node}" for node in self.nodes)):
            (self.folder / name).mkdir(mode=0o755)
        host, user = socket.gethostname().partition(".")[0], pwd.getpwuid(os.getuid()).pw_name
        text = CONF.format(
            prefix=prefix, host=host, user=user, folder=self.folder, port=port, kill_wait_s=kill_wait_s,
            proctrack="proctrack/cgroup" if _freezer_is_ours() else "proctrack/linuxproc",
        )  # fmt: skip
        for name, node_port in zip(self.nodes, ports, strict=True):
            text += NODE.format(name=name, host=host, port=node_port, cores=cores, gpus=gpus)
        (self.folder / "slurm.conf").write_text(text + PARTITIONS)
        (self.folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        (self.folder / "gres.conf").write_text(_gpus_in(self.folder, gpus))
        key = self.folder / "munge" / "key"
        key.touch(0o600)
        key.write_bytes(secrets.token_bytes(256))

    launcher = "slurm"
    tells_a_dead_rank_s = 2.0

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

    @contextlib.contextmanager
    def allocation(self, *options: str) -> Iterator[Held]:
        """A job that holds all nodes and goes on when one is lost; afterwards all nodes are idle again."""
        words = ["salloc", "--no-shell", f"--nodes={len(self.nodes)}", "--exclusive", "--no-kill", *options]
        job = self.command(*words).partition("allocation ")[2].split()[0]
        try:
            yield Held({**self.environment, "SLURM_JOB_ID": job}, tuple(self.nodes))
        finally:
            self.command("scancel", job, check=False)
            wait_until(lambda: self.job_state(job) not in ("RUNNING", "COMPLETING"), f"job {job} ends", 30)
            self.repair()

    def job_state(self, job: str) -> str:
        """What Slurm says of a job, such as RUNNING."""
        said = self.command("squeue", "-h", "-t", "all", "-j", job, "-o", "%T", check=False).split()
        return said[0] if said else "unknown"

    def repair(self) -> None:
        """Have all nodes idle again."""
        for node in self.nodes:
            if self.daemons[f"slurmd-{node}"].poll() is not None:
                self.start_node(node)
            if self.state_of(node) not in ("idle", "mixed", "allocated"):
                self.command("scontrol", "update", f"NodeName={node}", "State=RESUME", check=False)
        wait_until(lambda: self.states().count("idle") == len(self.nodes), "all nodes are idle", 30)

    def state_of(self, node: str) -> str:
        """The state of one node."""
        return self.command("sinfo", "-h", "-n", node, "-p", "low", "-o", "%T", check=False).strip()

    def node_of(self, pid: int) -> str:
        """The node of a rank."""
        return environment_of(pid).get("SLURMD_NODENAME", "")

    def cancel(self, held: Held, job_name: str) -> None:
        """scancel of a worker's step."""
        self.command("scancel", self.step(held, job_name))

    def step(self, held: Held, job_name: str) -> str:
        """The id of a worker's step."""
        said = self.command("squeue", "-h", "-s", "-j", held.environment["SLURM_JOB_ID"], "-o", "%i %j")
        (found,) = [line.split()[0] for line in said.splitlines() if line.split()[1] == job_name]
        return found

    def lose(self, held: Held, node: str) -> None:
        """Say that a node is down, on which Slurm ends what runs there and drops the node from its jobs."""
        self.command("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")

    def submit(self, script: Path, nodes: int, *options: str) -> str:
        """sbatch of a script on whole nodes."""
        words = ["sbatch", "--parsable", f"--nodes={nodes}", "--exclusive", "--no-kill", f"--output={script}.out"]
        return self.command(*words, "--open-mode=append", *options, str(script)).strip()

    def begins_again(self, job: str) -> None:
        """Wait until a job that was requeued runs again: Slurm holds it for 121 s, in case its nodes are to blame.

        `scontrol update StartTime=now` starts it at once, but it then takes the end of its last run for its own.
        """
        wait_until(lambda: self.job_state(job) == "PENDING", f"job {job} is requeued", 150)
        try:
            wait_until(lambda: self.job_state(job) in ("RUNNING", "COMPLETED"), f"job {job} runs again", 300)
        except AssertionError as error:
            state = self.command("scontrol", "show", "job", job, check=False) + self.command("scontrol", "show", "node")
            raise AssertionError(f"{error}: {state}") from error

    def end_in(self, job: str, seconds: float) -> None:
        """Move the end of a job: the limit that it was submitted with is of whole minutes."""
        end = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(time.time() + seconds))
        self.command("scontrol", "update", f"JobId={job}", f"EndTime={end}")

    def is_over(self, job: str) -> bool:
        """Whether a job has ended and is not to run again."""
        return self.job_state(job) not in ("PENDING", "RUNNING", "COMPLETING", "REQUEUED", "SUSPENDED")

    @contextlib.contextmanager
    def occupy(self, held: Held) -> Iterator[None]:
        """A step that takes every core."""
        count = f"-n{len(self.nodes)}"
        command = lifeline_command(["srun", "--exact", f"-N{len(self.nodes)}", count, "sleep", "60"], signal.SIGTERM)
        with subprocess.Popen(command, env=held.environment, stderr=subprocess.DEVNULL) as holder:
            job = held.environment["SLURM_JOB_ID"]
            wait_until(lambda: "sleep" in self.command("squeue", "-h", "-s", "-j", job, "-o", "%j"), "cores are taken")
            try:
                yield
            finally:
                holder.terminate()

    def stop(self) -> None:
        """End all jobs, all daemons, and what is left of steps."""
        self.command("scancel", "-s", "KILL", f"--user={os.getuid()}", check=False)
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not self.command("squeue", "-h", "-t", "R,CG", check=False).split(), "no job runs", 10)
        for daemon in reversed(self.daemons.values()):
            daemon.kill()
            daemon.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def _gpus_in(folder: Path, gpus: int) -> str:
    """gres.conf of made-up GPUs: devices that are as empty as /dev/null; only a number where they cannot be made."""
    try:
        for number in range(gpus):
            os.mknod(folder / f"gpu{number}", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    except OSError:
        return f"Name=gpu Count={gpus}\n"
    return f"Name=gpu File={folder}/gpu[0-{gpus - 1}]\n"


def _freezer_is_ours() -> bool:
    """Whether Slurm can hold the processes of a step together by a cgroup; else it goes by their parents."""
    return os.access("/sys/fs/cgroup/freezer/tasks", os.W_OK)
