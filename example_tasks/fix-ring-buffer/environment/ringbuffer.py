"""A byte queue of fixed capacity in one preallocated buffer."""


class RingBuffer:
    def __init__(self, capacity):
        self._buffer = bytearray(capacity)
        self._start = 0
        self._size = 0

    def __len__(self):
        return self._size

    def write(self, data):
        """Append data; ValueError when it does not fit."""
        capacity = len(self._buffer)
        if len(data) > capacity - self._size:
            raise ValueError("the buffer is full")
        end = (self._start + self._size) % capacity
        first = min(len(data), capacity - end)
        self._buffer[end : end + first] = data[:first]
        self._buffer[: len(data) - first] = data[first:]
        self._size += len(data)

    def read(self, count):
        """Remove and answer the oldest bytes, at most count."""
        capacity = len(self._buffer)
        count = min(count, self._size)
        first = min(count, capacity - self._start)
        data = self._buffer[self._start : self._start + first] + self._buffer[: count - first]
        self._start = self._start + count
        self._size -= count
        return bytes(data)
