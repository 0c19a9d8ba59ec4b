"""Reading the kernel: which cgroup a sandbox is in, what it may use and what it has used."""
