"""Tasks over the pool: each runs once, errors arrive, and a task may spread tasks of its own."""

import threading

import pytest

from facewright.core import threads


@pytest.fixture(autouse=True, params=[1, 3])
def _workers(request, monkeypatch):
    monkeypatch.setattr(threads, "thread_count", lambda: request.param)


def test_each_task_runs_once():
    done: list[int] = []
    threads.run_tasks(done.append, [(k,) for k in range(50)])
    assert sorted(done) == list(range(50))


def test_an_error_reaches_the_caller():
    def fail_at_seven(k: int) -> None:
        if k == 7:
            raise ValueError("seven")

    threads.run_tasks(fail_at_seven, [(k,) for k in range(7)])  # control
    with pytest.raises(ValueError, match="seven"):
        threads.run_tasks(fail_at_seven, [(k,) for k in range(20)])


def test_tasks_within_tasks_end():
    done: list[int] = []

    def spread(k: int) -> None:
        threads.run_tasks(done.append, [(10 * k + j,) for j in range(10)])

    run = threading.Thread(target=threads.run_tasks, args=(spread, [(k,) for k in range(10)]), daemon=True)
    run.start()
    run.join(timeout=60)
    assert not run.is_alive()
    assert sorted(done) == list(range(100))
