import hashlib
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from ringbuffer import RingBuffer  # noqa: E402

MIB = 1024 * 1024


class RingBufferTest(unittest.TestCase):
    def test_reads_what_was_written(self):
        ring = RingBuffer(8)
        ring.write(b"abcdef")
        self.assertEqual(ring.read(4), b"abcd")
        self.assertEqual(len(ring), 2)

    def test_wraps_around(self):
        ring = RingBuffer(8)
        for number in range(100):
            data = bytes([number] * 5)
            ring.write(data)
            self.assertEqual(ring.read(5), data)

    def test_refuses_what_does_not_fit(self):
        ring = RingBuffer(8)
        ring.write(b"abcdef")
        with self.assertRaises(ValueError):
            ring.write(b"xyz")

    def test_keeps_a_long_stream_in_order(self):
        """A stream is kept beside the ring and compared with all that comes out of it."""
        block = bytes(range(251)) * 4178
        stream = bytearray()
        ring = RingBuffer(80 * MIB)
        digest = hashlib.sha256()
        while len(ring) + len(block) <= 80 * MIB:
            ring.write(block)
            stream += block
        at = 0
        while data := ring.read(64 * 1024 + 1):
            self.assertEqual(data, stream[at : at + len(data)])
            digest.update(data)
            at += len(data)
        self.assertEqual(digest.digest(), hashlib.sha256(stream).digest())


if __name__ == "__main__":
    unittest.main()
