from __future__ import annotations

import random
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_reseval.admission.model import Budget, Claim, ClaimTooLarge, State
from pytest_reseval.admission.queue import MOST_OVERTAKINGS, Place, may_start, overtakings
from pytest_reseval.resources import GIB


def place(ticket: int, memory: int, cores: float = 0, state: State = "waiting") -> Place:
    return Place(state, ticket, memory, cores, since=0.0, pid=1)


BUDGET = Budget(memory=10, cores=2.0)


class TestNames:
    @settings(deadline=None)
    @given(
        st.sampled_from(["waiting", "admitted"]),
        st.integers(1, 10**18),
        st.integers(0, 2**63 - 1),
        st.integers(0, 10**15).map(lambda billionths: billionths / 10**9),
        st.integers(0, 10**15).map(lambda microseconds: microseconds / 10**6),
        st.integers(1, 2**22),
    )
    def test_a_name_says_all(
        self, state: State, ticket: int, memory: int, cores: float, since: float, pid: int
    ) -> None:
        original = Place(state, ticket, memory, cores, since, pid)
        assert Place.parse(original.name) == original
        assert len(original.name) < 255

    @settings(deadline=None)
    @given(st.text())
    def test_any_other_name_is_none_of_ours(self, name: str) -> None:
        assert Place.parse(name) is None

    @settings(deadline=None)
    @given(st.data())
    def test_a_torn_name_is_never_a_larger_claim(self, data: st.DataObject) -> None:
        whole = place(7, 4 * GIB, 1.5).name
        assert Place.parse(whole[: data.draw(st.integers(0, len(whole) - 2))]) is None
        assert Place.parse(whole + "\n") is None
        assert Place.parse(whole.replace("7", "\N{ARABIC-INDIC DIGIT SEVEN}")) is None


class TestBudget:
    @pytest.mark.parametrize("parts", [3, 7, 10, 100])
    def test_decimal_fractions_add_up_to_the_whole(self, parts: int) -> None:
        share = float(f"{1 / parts:.9f}")
        running = [place(n, 1, share, "admitted") for n in range(parts - 1)]
        mine = place(parts, 1, share)
        assert may_start(mine, [*running, mine], parts, Budget(1000, 1.0))
        one_more = place(parts + 1, 1, share)
        full = [*running, replace(mine, state="admitted"), one_more]
        assert not may_start(one_more, full, parts + 1, Budget(1000, 1.0))

    def test_three_tenths_fit_into_point_three(self) -> None:
        assert 0.1 * 3 > 0.3
        assert Budget(1, 0.3).holds(1, 0.1 * 3)

    def test_a_byte_too_much_is_too_much(self) -> None:
        assert BUDGET.holds(10, 2.0)
        assert not BUDGET.holds(11, 2.0)
        assert not BUDGET.holds(10, 2.001)

    def test_too_large_names_what_is_and_both_numbers(self) -> None:
        budget = Budget(4 * GIB, 2.0)
        both = str(ClaimTooLarge(Claim(8 * GIB, 3.0, "run", "bn-fit"), budget))
        assert "bn-fit" in both
        assert "memory 8 GiB of 4 GiB" in both
        assert "cores 3 of 2" in both
        only_cores = str(ClaimTooLarge(Claim(GIB, 3.0, "run", "bn-fit"), budget))
        assert "memory" not in only_cores

    @pytest.mark.parametrize(
        ("memory", "cores"),
        [(-1, 1.0), (2**63, 1.0), (1, -0.1), (1, float("nan")), (1, float("inf"))],
    )
    def test_a_claim_must_be_an_amount(self, memory: int, cores: float) -> None:
        with pytest.raises(ValueError, match="bn-fit"):
            Claim(memory, cores, "run", "bn-fit")


class TestMayStart:
    def test_alone_it_starts(self) -> None:
        mine = place(1, 10, 2.0)
        assert may_start(mine, [mine], 1, BUDGET)

    def test_cores_are_a_budget_too(self) -> None:
        mine = place(2, 1, 1.5)
        assert not may_start(mine, [place(1, 1, 1.0, "admitted"), mine], 2, BUDGET)

    def test_room_is_left_for_an_earlier_one_that_fits(self) -> None:
        earlier, mine = place(2, 5), place(3, 5)
        running = place(1, 4, state="admitted")
        assert may_start(earlier, [running, earlier, mine], 3, BUDGET)
        assert not may_start(mine, [running, earlier, mine], 3, BUDGET)
        assert may_start(place(3, 1), [running, earlier, place(3, 1)], 3, BUDGET)

    def test_a_small_one_passes_a_big_one_that_does_not_fit(self) -> None:
        mine = place(3, 2)
        assert may_start(mine, [place(1, 5, state="admitted"), place(2, 9), mine], 3, BUDGET)

    def test_who_was_passed_too_often_is_passed_no_more(self) -> None:
        running, big = place(1, 5, state="admitted"), place(2, 9)
        for passed, expected in ((MOST_OVERTAKINGS - 1, True), (MOST_OVERTAKINGS, False)):
            mine = place(3 + passed, 2)
            places = [running, big, mine]
            assert overtakings(2, [2, mine.ticket], mine.ticket) == passed
            assert may_start(mine, places, mine.ticket, BUDGET) is expected

    def test_others_beyond_my_budget_only_make_me_wait(self) -> None:
        mine = place(2, 0, 0.1)
        assert not may_start(mine, [place(1, 50, 9.0, "admitted"), mine], 2, BUDGET)


@dataclass
class Request:
    place: Place
    budget: Budget
    passed: int = 0


class Host:
    """A host in miniature that checks every rule whenever a request looks or starts.

    Who dies keeps its place, as on a real host, until somebody notices.
    """

    def __init__(self, order: random.Random) -> None:
        self.order = order
        self.last_ticket = 0
        self.waiting: list[Request] = []
        self.admitted: list[Request] = []
        self.dead: list[Place] = []

    def places(self) -> list[Place]:
        places = [request.place for request in (*self.waiting, *self.admitted)] + self.dead
        self.order.shuffle(places)
        return places

    def fits(self, request: Request) -> bool:
        held = [*(one.place for one in self.admitted), *self.dead]
        held = [place for place in held if place.state == "admitted"]
        tenths = sum(round(place.cores * 10) for place in (*held, request.place))
        memory = sum(place.memory for place in (*held, request.place))
        return memory <= request.budget.memory and tenths <= round(request.budget.cores * 10)

    def may_start(self, request: Request) -> bool:
        return may_start(request.place, self.places(), self.last_ticket, request.budget)

    def arrive(self, memory: int, cores: float, budget: Budget) -> None:
        self.last_ticket += 1
        self.waiting.append(Request(place(self.last_ticket, memory, cores), budget))

    def record(self, memory: int, cores: float, budget: Budget) -> None:
        """A claim of a run without admission: it starts at once, over the budget or not."""
        self.arrive(memory, cores, budget)
        self._start(self.waiting[-1])

    def look(self, request: Request) -> bool:
        starts = self.may_start(request)
        assert starts == self.may_start(request), "the order of places mattered"
        earlier = [other for other in self.waiting if other.place.ticket < request.place.ticket]
        if not earlier and not any(one.state == "waiting" for one in self.dead):
            assert starts == self.fits(request), "first come was not first served"
        if starts:
            assert self.fits(request), "above the budget"
            assert all(other.passed < MOST_OVERTAKINGS for other in earlier), "starved"
            rivals = [
                other
                for other in earlier
                if other.budget == request.budget and self.may_start(other)
            ]
            self._start(request)
            assert all(self.fits(other) for other in rivals), "the room of an earlier one is taken"
        return starts

    def _start(self, request: Request) -> None:
        self.waiting.remove(request)
        request.place = replace(request.place, state="admitted")
        self.admitted.append(request)
        for other in self.waiting:
            if other.place.ticket < request.place.ticket:
                other.passed += 1

    def die(self, request: Request) -> None:
        self.dead.append(request.place)
        (self.waiting if request in self.waiting else self.admitted).remove(request)


BUDGETS = [Budget(10, 1.0), Budget(20, 2.0)]
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["arrive", "arrive", "arrive", "record"]),
            st.integers(0, 10),
            st.integers(0, 10),
            st.sampled_from(BUDGETS),
        ),
        st.tuples(
            st.sampled_from(["look", "look", "look", "leave", "give up", "die", "bury"]),
            st.integers(0, 50),
        ),
        st.tuples(st.just("squeeze by"), st.integers(0, 1)),
    ),
    max_size=120,
)


@settings(deadline=None, max_examples=150)
@given(OPERATIONS, st.randoms(use_true_random=False))
def test_never_above_budget_no_starvation_and_everyone_starts_in_the_end(
    operations: list[tuple[str, int] | tuple[str, int, int, Budget]], order: random.Random
) -> None:
    host = Host(order)
    host.arrive(5, 0, BUDGETS[0])
    assert host.look(host.waiting[0])
    host.arrive(10, 0, BUDGETS[0])
    for operation in operations:
        everyone = host.waiting + host.admitted
        match operation:
            case ("arrive", memory, tenths, budget):
                host.arrive(memory, tenths / 10, budget)
            case ("record", memory, tenths, budget):
                host.record(memory, tenths / 10, budget)
            case ("squeeze by", memory):
                host.arrive(memory, 0, BUDGETS[0])
                host.look(host.waiting[-1])
            case ("look", index) if host.waiting:
                host.look(host.waiting[index % len(host.waiting)])
            case ("give up", index) if host.waiting:
                host.waiting.pop(index % len(host.waiting))
            case ("leave", index) if host.admitted:
                host.admitted.pop(index % len(host.admitted))
            case ("die", index) if everyone:
                host.die(everyone[index % len(everyone)])
            case ("bury", _):
                host.dead.clear()
    host.dead.clear()
    while host.waiting:
        lookers = list(host.waiting)
        order.shuffle(lookers)
        started = [host.look(request) for request in lookers]
        assert any(started) or host.admitted, "nobody runs and nobody may start"
        if not any(started):
            host.admitted.clear()


@settings(deadline=None)
@given(st.integers(1, 3), st.randoms(use_true_random=False))
def test_a_stream_of_small_requests_cannot_starve_a_big_one(
    small: int, order: random.Random
) -> None:
    host = Host(order)
    host.arrive(2, 0, BUDGET)
    assert host.look(host.waiting[0])
    host.arrive(BUDGET.memory, 0, BUDGET)
    big = host.waiting[0]
    for _ in range(MOST_OVERTAKINGS + 5):
        host.arrive(small, 0, BUDGET)
        host.look(host.waiting[-1])
        host.admitted.pop(0 if len(host.admitted) > 1 else -1)
        if host.look(big):
            break
        if not host.admitted:
            pytest.fail("an empty host did not admit the big request")
    assert big in host.admitted
    assert big.passed == MOST_OVERTAKINGS
