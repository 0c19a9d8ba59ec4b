"""Runs the steps of build.json in the order of their needs: ``python3 build.py --jobs N``."""

import argparse
import json
import subprocess
import sys
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=4, help="steps that run at once (default 4)")
    jobs = parser.parse_args().jobs
    with open("build.json", encoding="utf-8") as file:
        steps = json.load(file)
    done, running = set(), {}
    with ThreadPoolExecutor(jobs) as pool:
        while len(done) < len(steps):
            for name, step in steps.items():
                if name not in done | set(running.values()) and done.issuperset(step["needs"]):
                    running[pool.submit(subprocess.run, step["run"])] = name
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                name = running.pop(future)
                status = future.result().returncode
                if status != 0:
                    pool.shutdown(cancel_futures=True)
                    sys.exit(f"{name}: ended with status {status}")
                print(f"{name}: done", flush=True)
                done.add(name)


if __name__ == "__main__":
    main()
