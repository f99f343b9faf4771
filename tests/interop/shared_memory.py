"""The other side of tests/interop.rs: a program that uses Python's multiprocessing.shared_memory. It does what its arguments
say, checks every byte, and says what differs. "ready" on a line of its own means that it waits for a line, to go on."""

import mmap
import os

# What is between the two lines is in docs/from.md, word for word.
# begin
import sys
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory


def shared_memory(name, **options):
    """As SharedMemory(name, ...), but the object does not go with this program."""
    if sys.version_info >= (3, 13):
        return SharedMemory(name, track=False, **options)
    memory = SharedMemory(name, **options)
    resource_tracker.unregister("/" + memory.name, "shared_memory")
    return memory
# end

SIZE = 1000


def same(found, wanted, what):
    if found != wanted:
        sys.exit(f"shared_memory.py: {' '.join(sys.argv[1:])}: {what} is {found}, not {wanted}")


def all_are(memory, value):
    same(memory.size, SIZE, "its size")
    for at, byte in enumerate(memory.buf):
        same(byte, value, f"byte {at}")


def wait_to_go_on():
    print("ready", flush=True)
    if not sys.stdin.readline():
        sys.exit("nobody said that it should go on")


def create(name):
    memory = shared_memory(name, create=True, size=SIZE)
    memory.buf[:] = bytes([1]) * SIZE
    memory.close()


def check(name):
    memory = shared_memory(name)
    all_are(memory, 1)
    memory.close()


def hold(name):
    """Has it mapped while another removes it, and makes a new one of the same name."""
    memory = shared_memory(name)
    all_are(memory, 1)
    wait_to_go_on()
    all_are(memory, 1)
    memory.buf[:] = bytes([3]) * SIZE
    all_are(memory, 3)
    memory.close()


def replace(name):
    """Removes it, and makes a new one of that name at once."""
    memory = SharedMemory(name)  # unlink takes it off the tracker's list
    memory.unlink()
    memory.close()
    new = shared_memory(name, create=True, size=SIZE)
    new.buf[:] = bytes([2]) * SIZE
    new.close()


def mapped(name):
    """Without SharedMemory, and so without its tracker."""
    memory = mmap.mmap(os.open(f"/dev/shm/{name}", os.O_RDWR), 0)
    same(memory[:], bytes([1]) * SIZE, "what it holds")


def careless(name):
    """As programs do that know nothing of the tracker."""
    memory = SharedMemory(name)
    all_are(memory, 1)
    memory.close()


if len(sys.argv) != 3:
    sys.exit("say what to do, and with which object")
all_of_it = [create, check, hold, replace, mapped, careless]
{one.__name__: one for one in all_of_it}[sys.argv[1]](sys.argv[2])
