"""Damages the files of `indexes.py` and asks h5py what it then reads: for the HDF5MutationTests.

    mutations.py Resources/indexes 200 > Resources/mutations.json
    mutations.py Resources/indexes 5000 SEED > LONG    (then DIFFKIT_HDF5_MUTATIONS=LONG swift test)

Behind them come those of other seeds that were once read wrongly.

Each mutation changes a few bytes of chunk indexes, object headers and whatever else describes the
tensors, never their elements; where a checksum stands behind them, it is made right again half the
time, so that a reader gets past it. An answer is, for each tensor that h5py reads, its fingerprint,
or true if that is the one of the file without damage. Made with h5py 3.16.0 and its HDF5 2.0.0.
"""

import json
import pathlib
import random
import resource
import select
import struct
import subprocess
import sys
import tempfile

SIGNATURES = [
    b"TREE", b"SNOD", b"HEAP", b"OHDR", b"OCHK", b"FRHP", b"FHDB", b"FHIB", b"BTHD", b"BTLF", b"BTIN",
    b"FAHD", b"FADB", b"EAHD", b"EAIB", b"EADB", b"EASB"]
EDGES = [0, 1, 2, 3, 7, 8, 127, 128, 255, 256, 1 << 15, 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63]
EDGES += [(1 << 64) - 1, (1 << 64) - 2]


def lookup3(data):
    """Bob Jenkins' hash (public domain) as HDF5 uses it: hashlittle, from 0."""
    mask = 0xFFFFFFFF

    def turn(x, k):
        return (x << k | x >> (32 - k)) & mask

    a = b = c = 0xDEADBEEF + len(data) & mask
    if not data:
        return c
    blocks = (len(data) - 1) // 12
    for a1, b1, c1 in struct.iter_unpack("<3I", data[: 12 * blocks]):
        a, b, c = a + a1 & mask, b + b1 & mask, c + c1 & mask
        a = (a - c & mask) ^ turn(c, 4)
        c = c + b & mask
        b = (b - a & mask) ^ turn(a, 6)
        a = a + c & mask
        c = (c - b & mask) ^ turn(b, 8)
        b = b + a & mask
        a = (a - c & mask) ^ turn(c, 16)
        c = c + b & mask
        b = (b - a & mask) ^ turn(a, 19)
        a = a + c & mask
        c = (c - b & mask) ^ turn(b, 4)
        b = b + a & mask
    a1, b1, c1 = struct.unpack("<3I", data[12 * blocks :].ljust(12, b"\0"))
    a, b, c = a + a1 & mask, b + b1 & mask, c + c1 & mask
    c = (c ^ b) - turn(b, 14) & mask
    a = (a ^ c) - turn(c, 11) & mask
    b = (b ^ a) - turn(a, 25) & mask
    c = (c ^ b) - turn(b, 16) & mask
    a = (a ^ c) - turn(c, 4) & mask
    b = (b ^ a) - turn(a, 14) & mask
    return (c ^ b) - turn(b, 24) & mask


class Original:
    """A file, where its elements are, and where what describes them is."""

    def __init__(self, path):
        self.name = path.name
        self.bytes = path.read_bytes()
        facts = json.loads(subprocess.check_output([sys.executable, __file__, "--layout", str(path)]))
        elements = bytearray(len(self.bytes))
        for offset, size in facts["elements"]:
            elements[offset : offset + size] = b"\1" * size
        self.places = [i for i, b in enumerate(self.bytes) if not elements[i] and (b or i % 8 == 0)]
        self.structures = [tuple(header) for header in facts["headers"]]
        self.checked = []
        for signature in SIGNATURES:
            at = self.bytes.find(signature)
            while at >= 0:
                if not elements[at]:
                    end = self.end(at)
                    if end:
                        self.checked.append((at, end))
                    self.structures.append((at, end - at if end else 160))
                at = self.bytes.find(signature, at + 1)
        if self.bytes[8] >= 2:
            self.checked.append((0, 44))

    def end(self, start):
        """Where the checksum of a structure stands, if it has one."""
        for end in range(start + 6, min(start + 2048, len(self.bytes) - 3)):
            stored = struct.unpack_from("<I", self.bytes, end)[0]
            # Hashing is slow, and no structure ends where its checksum would be this.
            if stored > 0xFFFF and lookup3(self.bytes[start:end]) == stored:
                return end
        return None

    def mutate(self, chance):
        data = bytearray(self.bytes)
        for _ in range(chance.choice([1, 1, 1, 2])):
            if chance.random() < 0.7:
                start, size = chance.choice(self.structures)
                self.change(data, min(len(data) - 1, start + chance.randrange(size)), chance)
            else:
                self.change(data, chance.choice(self.places), chance)
        return [
            [i, data[i]] for i in range(len(data)) if data[i] != self.bytes[i]]

    def change(self, data, at, chance):
        kind = chance.randrange(8)
        if kind < 3:
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 3:
            data[at] ^= 0xFF
        elif kind == 4:
            data[at] = chance.randrange(256)
        elif kind == 5:
            data[at] = (data[at] + chance.choice([1, 255])) % 256
        else:
            width = chance.choice([2, 4, 8])
            value = chance.choice(EDGES) % (1 << 8 * width)
            data[at : at + width] = value.to_bytes(width, "little")[: len(data) - at]
        if chance.random() < 0.5:
            for start, end in self.checked:
                if start <= at < end:
                    struct.pack_into("<I", data, end, lookup3(bytes(data[start:end])))


class Reader:
    """h5py in a process of its own, which a damaged file may crash or keep busy for ever."""

    def __init__(self):
        self.process = None

    def ask(self, path):
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, __file__, "--read"], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.process.stdin.write(path + "\n")
        self.process.stdin.flush()
        if select.select([self.process.stdout], [], [], 20)[0]:
            line = self.process.stdout.readline()
            if line:
                return json.loads(line)
        self.process.kill()
        self.process.wait()
        self.process = None
        return {}


CODES = {"bool": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "uint32": 6, "int32": 7}
CODES |= {"uint64": 8, "int64": 9, "float16": 10, "float32": 12, "float64": 13}


def fingerprint(dataset):
    """diffkit's fingerprint of a dataset; None for types that are not its own."""
    import numpy as np
    import xxhash

    values = np.asarray(dataset[()])
    code = CODES.get(values.dtype.name)
    if code is None:
        return None
    data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    step = 1 << 20
    blocks = [xxhash.xxh3_128_digest(data[i : i + step])[::-1] for i in range(0, len(data), step)]
    head = bytes([code, values.ndim]) + struct.pack(f"<{values.ndim}Q", *dataset.shape)
    return xxhash.xxh3_128_hexdigest(head + b"".join(blocks))


def read(path):
    import h5py

    found, groups = {}, set()

    def visit(group, prefix):
        address = h5py.h5o.get_info(group.id).addr
        if address in groups:
            return
        groups.add(address)
        for name in group:
            try:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    continue
                item = group[name]
                path = prefix + (name if isinstance(name, str) else repr(name))
                if isinstance(item, h5py.Group):
                    visit(item, path + "/")
                elif isinstance(item, h5py.Dataset):
                    found[path] = fingerprint(item)
            except MemoryError:
                found[path] = "?"
            except Exception:
                pass

    try:
        with h5py.File(path) as file:
            visit(file, "")
    except Exception:
        pass
    return found


def layout(path):
    import h5py

    headers, elements = [], []
    with h5py.File(path) as file:
        objects = [file]
        file.visititems(lambda _, item: objects.append(item))
        for item in objects:
            info = h5py.h5o.get_info(item.id)
            headers.append([info.addr, min(info.hdr.space.total, 400)])
            if not isinstance(item, h5py.Dataset):
                continue
            if item.chunks:
                for number in range(item.id.get_num_chunks()):
                    chunk = item.id.get_chunk_info(number)
                    elements.append([chunk.byte_offset, chunk.size])
            elif item.id.get_offset() is not None:
                elements.append([item.id.get_offset(), item.id.get_storage_size()])
    return {"headers": headers, "elements": elements}


# A compact dataset with fewer bytes than elements; an unusual float whose other name was not listed,
# twice; a chunk that begins between two chunks; datasets with more bytes than elements.
FOUND = ["1126.790", "1126.1853", "1126.2513", "1126.3963", "aud1.216", "aud1.659", "aud4.124"]


def main(folder, count, seed):
    seeds = [f"{seed}.{number}" for number in range(count)] + FOUND
    reader = Reader()
    originals = [Original(path) for path in sorted(folder.glob("*.h5"))]
    files = {original.name: reader.ask(str(folder / original.name)) for original in originals}
    print("{")
    print(f' "files": {json.dumps(files)},')
    print(' "mutations": [')
    with tempfile.TemporaryDirectory() as scratch:
        path = pathlib.Path(scratch) / "mutated.h5"
        for number, own in enumerate(seeds):
            # Each from a seed of its own, so that any can be made again alone.
            chance = random.Random(own)
            original = chance.choice(originals)
            changes = original.mutate(chance)
            data = bytearray(original.bytes)
            for at, value in changes:
                data[at] = value
            path.write_bytes(data)
            right = files[original.name]
            reads = {
                name: found is not None and found == right.get(name) or found
                for name, found in reader.ask(str(path)).items()
            }
            row = {"file": original.name, "changes": changes, "reads": reads}
            print("  " + json.dumps(row) + ("," if number + 1 < len(seeds) else ""))
    print(" ]\n}")


if __name__ == "__main__":
    if sys.argv[1] == "--read":
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
        for line in sys.stdin:
            print(json.dumps(read(line.rstrip("\n"))), flush=True)
    elif sys.argv[1] == "--layout":
        print(json.dumps(layout(sys.argv[2])))
    else:
        main(pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] if sys.argv[3:] else "1")
