"""The fit of a measured deployment into the sizes of infra/."""

from pathlib import Path

from inference.conformance.azure_plans import HOST_MEMORY, MIB, PLANS, AzurePlan, MemoryNeed, fits

GIB = AzurePlan("a GiB", 1024 * MIB, 1)


def problem(need: MemoryNeed) -> str | None:
    return fits(need, [GIB])[0].problem


def test_a_model_fits_with_the_host_and_its_share_of_cache() -> None:
    assert problem(MemoryNeed(1024 * MIB - HOST_MEMORY)) is None
    assert problem(MemoryNeed(1024 * MIB - HOST_MEMORY + 1)) == "too little memory"
    # 8 slots of 64 MiB want 512 MiB, and the cache has a quarter of the memory: 4 rows
    cached = MemoryNeed(1024 * MIB - HOST_MEMORY - 256 * MIB, per_token=MIB, context=64, slots=8)
    assert problem(cached) is None
    assert fits(cached, [GIB])[0].memory == 1024 * MIB


def test_a_context_beyond_the_cache_names_the_one_that_fits() -> None:
    assert problem(MemoryNeed(100 * MIB, per_token=MIB, context=257, slots=1)) is not None
    assert "lower context to 256" in str(problem(MemoryNeed(100 * MIB, per_token=MIB, context=257, slots=1)))


def test_sizes_are_those_of_infra() -> None:
    infra = Path(__file__).parents[2] / "infra" / "main.bicep"
    assert "@allowed([512, 2048, 4096])" in infra.read_text()
    assert [plan.memory // MIB for plan in PLANS[:3]] == [512, 2048, 4096]
