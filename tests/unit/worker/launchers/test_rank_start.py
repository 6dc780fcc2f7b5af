"""What ranks receive when they start: by the server of PMI-1, and by their environment."""

from __future__ import annotations

from moireloop_worker.launchers.process_management import ProcessManagement
from moireloop_worker.launchers.rank_environment import rank_environment


def test_ranks_learn_of_each_other() -> None:
    """Values that one rank puts are there for the other; the mapping says that all are on one host."""
    pmi = ProcessManagement(2, "group")
    assert pmi.answer(0, "cmd=init pmi_version=1 pmi_subversion=1") == [
        (0, "cmd=response_to_init rc=0 pmi_version=1 pmi_subversion=1")
    ]
    assert pmi.answer(0, "cmd=get_my_kvsname") == [(0, "cmd=my_kvsname rc=0 kvsname=group")]
    assert pmi.answer(1, "cmd=put kvsname=group key=P1 value=a=b#c") == [(1, "cmd=put_result rc=0 msg=success")]
    assert pmi.answer(0, "cmd=get kvsname=group key=P1") == [(0, "cmd=get_result rc=0 msg=success value=a=b#c")]
    ((_, mapping),) = pmi.answer(1, "cmd=get kvsname=group key=PMI_process_mapping")
    assert mapping.endswith("value=(vector,(0,1,2))")
    ((_, missing),) = pmi.answer(1, "cmd=get kvsname=group key=nothing")
    assert "rc=-1" in missing


def test_barrier_opens_when_all_are_there_and_again() -> None:
    """A rank that asks twice is not taken for two."""
    pmi = ProcessManagement(2, "group")
    for _ in range(2):
        assert pmi.answer(1, "cmd=barrier_in") == []
        assert pmi.answer(1, "cmd=barrier_in") == []
        assert pmi.answer(0, "cmd=barrier_in") == [(0, "cmd=barrier_out rc=0"), (1, "cmd=barrier_out rc=0")]


def test_ends_are_noted() -> None:
    """Who said farewell, and who gave up and with which code; no line is too strange."""
    pmi = ProcessManagement(3, "group")
    assert pmi.answer(0, "cmd=finalize") == [(0, "cmd=finalize_ack rc=0")]
    assert pmi.answer(1, "cmd=abort exitcode=15") == []
    assert pmi.answer(2, "cmd=abort exitcode=x") == []
    assert (pmi.finalized, pmi.aborted) == ({0}, {1: 15, 2: 1})
    for line in ("", "=", "cmd", "cmd=spawn nprocs=2", "\x00\xff cmd="):
        ((rank, reply),) = pmi.answer(0, line)
        assert rank == 0
        assert "rc=-1" in reply


def test_ranks_of_one_host_stay_within_it() -> None:
    """No network transport, and nothing of an MPI program that the launcher itself is a rank of."""
    foreign = {"PMI_RANK": "3", "PMI_FD": "9", "PMIX_NAMESPACE": "x", "HYDRA_IFACE": "eth0", "MPI_LOCALNRANKS": "2"}
    inherited = {"PATH": "/bin", "UCX_TLS": "all", "FI_TCP_IFACE": "eth0", **foreign}
    one, two = rank_environment(inherited, 1), rank_environment(inherited, 2)
    assert not set(foreign) & set(one)
    assert (one["UCX_TLS"], two["UCX_TLS"]) == ("self", "self,posix")
    assert (one["FI_TCP_IFACE"], one["PATH"], one["OMP_NUM_THREADS"]) == ("lo", "/bin", "1")


def test_ranks_between_hosts_use_the_interface_that_is_named() -> None:
    """Its transports are left to MPI; the number of threads is the user's where they have set one."""
    environment = rank_environment({"UCX_TLS": "ib", "OMP_NUM_THREADS": "4"}, 8, "hsn0")
    assert (environment["UCX_TLS"], environment["UCX_NET_DEVICES"], environment["FI_TCP_IFACE"]) == (
        "ib",
        "hsn0",
        "hsn0",
    )
    assert environment["OMP_NUM_THREADS"] == "4"
