"""What MPI ranks ask when they start: the server's side of PMI-1, as far as MPICH needs it (pure).

One line is one command of `key=value` words. It is described in MPICH's documents and served by Flux and Slurm as
well. The ranks talk over sockets that they inherit, so that nothing listens on any port.
"""

from __future__ import annotations

from typing import Final

LONGEST: Final = {"kvsname_max": 256, "keylen_max": 64, "vallen_max": 1024}

Replies = list[tuple[int, str]]


class ProcessManagement:
    """Names, values and barriers of one group of ranks on one host.

    Args:
        ranks: how many there are.
        name: of the group; MPICH derives the name of its shared memory from it.
    """

    def __init__(self, ranks: int, name: str) -> None:
        self.finalized: set[int] = set()
        self.initialised: set[int] = set()
        self.aborted: dict[int, int] = {}
        self._ranks = ranks
        self._name = name
        self._values = {"PMI_process_mapping": f"(vector,(0,1,{ranks}))"}
        self._in_barrier: set[int] = set()

    def answer(self, rank: int, line: str) -> Replies:
        """What to say, and to which ranks, when one of them has said a line. An unknown command gets an error."""
        command, words = _read(line)
        if command == "barrier_in":
            return self._barrier(rank)
        if command == "abort":
            code = words.get("exitcode", "1")
            self.aborted[rank] = int(code) if code.lstrip("-").isdigit() else 1
            return []
        return [(rank, self._reply(rank, command, words))]

    def _reply(self, rank: int, command: str, words: dict[str, str]) -> str:
        match command:
            case "init":
                self.initialised.add(rank)
                return "cmd=response_to_init rc=0 pmi_version=1 pmi_subversion=1"
            case "get_maxes":
                return "cmd=maxes rc=0 " + " ".join(f"{name}={value}" for name, value in LONGEST.items())
            case "get_appnum":
                return "cmd=appnum rc=0 appnum=0"
            case "get_universe_size":
                return f"cmd=universe_size rc=0 size={self._ranks}"
            case "get_my_kvsname":
                return f"cmd=my_kvsname rc=0 kvsname={self._name}"
            case "put":
                self._values[words.get("key", "")] = words.get("value", "")
                return "cmd=put_result rc=0 msg=success"
            case "get":
                return self._value(words.get("key", ""))
            case "finalize":
                self.finalized.add(rank)
                return "cmd=finalize_ack rc=0"
            case _:
                return f"cmd={command}_result rc=-1 msg=not_supported"

    def _value(self, key: str) -> str:
        if key in self._values:
            return f"cmd=get_result rc=0 msg=success value={self._values[key]}"
        return "cmd=get_result rc=-1 msg=unknown_key value=unknown"

    def _barrier(self, rank: int) -> Replies:
        self._in_barrier.add(rank)
        if len(self._in_barrier) < self._ranks:
            return []
        self._in_barrier.clear()
        return [(one, "cmd=barrier_out rc=0") for one in range(self._ranks)]


def _read(line: str) -> tuple[str, dict[str, str]]:
    """A command and its words. A value may hold an equals sign, and the value of a `put` is its last word."""
    words = dict(word.partition("=")[::2] for word in line.split())
    return words.pop("cmd", ""), words
