"""Each variant of each setting is run once: a table of variants against the tests that run them."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from moireloop.campaign_file.campaign import Campaign
from moireloop_broker.settings import REDIS_SCHEMES
from tests.contract.setting_kinds import variants_of

TESTS = Path(__file__).parents[1]
RUN_BY = {
    "budget.wall_time_s = given": (
        "integration/optimizer/test_optimizer_service.py",
        "test_a_step_of_the_clock_uses_up_no_wall_time",
    ),
    "budget.wall_time_s = none": (
        "integration/optimizer/test_optimizer_service.py",
        "test_a_campaign_ends",
    ),
    "budget.outside_counts = true": (
        "unit/optimizer/service/test_planner_steered.py",
        "test_candidates_from_outside_take_places_of_the_budget_or_not",
    ),
    "budget.outside_counts = false": (
        "unit/optimizer/service/test_planner_steered.py",
        "test_candidates_from_outside_take_places_of_the_budget_or_not",
    ),
    "growth = bead": ("integration/worker/test_worker.py", "test_worker_runs_one_candidate_after_another"),
    "growth = noop": ("integration/campaign/test_redis_urls.py", "test_unix"),
    "growth = mos2-rebo": ("integration/worker/test_mos2_runs.py", "test_rebo_grows_from_a_molten_layer"),
    "growth = mos2-reaxff": ("integration/worker/test_mos2_runs.py", "test_reaxff_melts_and_runs"),
    "growth = script": ("system/test_script_campaign.py", "test_campaign_with_a_users_script"),
    "growth = foreign": (
        "integration/worker/test_plug_ins.py",
        "test_package_of_plug_ins_runs",
    ),
    "growth.preset = paper": ("unit/worker/models/test_mos2.py", "test_preset_paper_is_the_protocol_of_the_paper"),
    "growth.preset = small": ("integration/worker/test_mos2_runs.py", "test_rebo_grows_from_a_molten_layer"),
    "growth.force_field = given": (
        "integration/worker/test_mos2_runs.py",
        "test_changed_force_field_is_prepared_again",
    ),
    "growth.force_field = none": ("integration/worker/test_mos2_runs.py", "test_rebo_grows_from_a_molten_layer"),
    "workers.count = given": ("integration/worker/test_worker.py", "test_worker_runs_one_candidate_after_another"),
    "workers.cores = given": ("unit/worker/launchers/test_allocation.py", "test_cores_of_a_rank_count"),
    "workers.cores = none": ("integration/worker/test_worker.py", "test_worker_runs_one_candidate_after_another"),
    "workers.on_term = auto": ("integration/worker/test_pool_service.py", "test_pool_runs_candidates_and_ends_cleanly"),
    "workers.on_term = hand_back": ("integration/worker/test_giving_back.py", "test_notice_makes_the_pool_give_back"),
    "workers.on_term = drain": (
        "integration/worker/test_giving_back.py",
        "test_notice_to_pool_and_workers_is_not_a_death",
    ),
    "workers.scratch = given": ("integration/worker/test_giving_back.py", "test_runs_on_scratch_are_copied_back"),
    "workers.scratch = none": ("integration/worker/test_worker.py", "test_worker_runs_one_candidate_after_another"),
    "workers.oversubscribe = true": ("system/test_survival.py", "test_everything_killed_then_resumed"),
    "workers.oversubscribe = false": ("integration/campaign/test_redis_urls.py", "test_unix"),
    "lammps.library = given": (
        "integration/worker/test_site_lammps.py",
        "test_candidate_runs_in_the_sites_lammps_with_its_accelerator",
    ),
    "lammps.library = none": ("integration/worker/test_worker.py", "test_worker_runs_one_candidate_after_another"),
    "frames.atoms = all": ("integration/worker/test_worker.py", "test_frames_are_streamed_while_the_run_goes_on"),
    "frames.atoms = lattice": ("integration/worker/test_worker.py", "test_large_frames_are_streamed_in_parts"),
    "frames.transport = auto": (
        "integration/broker/test_frame_stream.py",
        "test_workers_of_this_host_and_of_others_reach_one_analyzer",
    ),
    "frames.transport = ipc": ("integration/broker/test_frame_stream.py", "test_frame_arrives_as_it_was_sent"),
    "frames.transport = tcp": (
        "integration/broker/test_frame_stream.py",
        "test_frames_over_tcp_need_the_campaigns_key",
    ),
    "analyzers.estimator = lattice": ("unit/analyzer/test_warm_up.py", "test_no_frame_compiles_anything"),
    "analyzers.estimator = row": ("unit/analyzer/test_warm_up.py", "test_no_frame_compiles_anything"),
    "analyzers.analyses_of = final": (
        "integration/analyzer/test_further_analyzers.py",
        "test_their_numbers_are_in_the_result",
    ),
    "analyzers.analyses_of = every": (
        "integration/analyzer/test_further_analyzers.py",
        "test_observations_do_not_wait_for_them",
    ),
    "early_end.settled = given": ("system/test_early_end.py", "test_runs_end_within_a_frame_interval"),
    "early_end.settled = none": ("unit/analyzer/service/test_early_end.py", "test_policies_are_off_by_default"),
    "early_end.learnt = given": ("integration/settling/test_learner.py", "test_whole_runs_are_learnt_from"),
    "early_end.learnt = none": ("unit/analyzer/service/test_early_end.py", "test_policies_are_off_by_default"),
    "early_end.hopeless = given": ("unit/analyzer/service/test_early_end.py", "test_hopeless_runs"),
    "early_end.hopeless = none": ("unit/analyzer/service/test_early_end.py", "test_policies_are_off_by_default"),
    "early_end.hopeless.without_twist = true": ("unit/analyzer/service/test_early_end.py", "test_hopeless_runs"),
    "early_end.hopeless.without_twist = false": (
        "unit/analyzer/service/test_early_end.py",
        "test_without_a_distance_no_twist_is_hopeless",
    ),
    "early_end.hopeless.distance_deg = given": ("unit/analyzer/service/test_early_end.py", "test_hopeless_runs"),
    "early_end.hopeless.distance_deg = none": (
        "unit/analyzer/service/test_early_end.py",
        "test_without_a_distance_no_twist_is_hopeless",
    ),
    "diffraction.temperature_k = given": (
        "unit/campaign/experiment/test_simulating.py",
        "test_heat_belongs_to_the_run",
    ),
    "diffraction.temperature_k = none": (
        "unit/campaign/experiment/test_simulating.py",
        "test_heat_belongs_to_the_run",
    ),
    "diffraction.domain_angstrom = given": (
        "physics/test_scattering.py",
        "test_peaks_are_as_wide_as_the_resolution_says",
    ),
    "diffraction.domain_angstrom = none": (
        "physics/test_scattering.py",
        "test_rods_closer_than_the_resolution_are_one_wide_peak",
    ),
    "optimizer.mode = async": ("integration/optimizer/test_optimizer_service.py", "test_a_campaign_ends"),
    "optimizer.learn_from_patterns = true": (
        "integration/optimizer/test_optimizer_service.py",
        "test_a_candidate_comes_from_results_and_growths_together",
    ),
    "optimizer.learn_from_patterns = false": (
        "unit/optimizer/service/test_planner_patterns.py",
        "test_patterns_are_left_alone_unless_the_settings_say_otherwise",
    ),
    "optimizer.mode = batch": (
        "integration/optimizer/test_optimizer_service.py",
        "test_a_batch_waits_for_its_last_result",
    ),
    "network.ports = given": ("system/test_ports.py", "test_services_keep_to_the_ports_that_the_file_names"),
    "network.ports = none": (
        "system/test_ports.py",
        "test_campaign_listens_on_loopback_alone_and_garbage_does_no_harm",
    ),
    "redis.plaintext = true": ("system/test_two_hosts.py", "test_server_without_tls_serves_other_hosts_where_it_may"),
    "redis.plaintext = false": ("system/test_two_hosts.py", "test_campaign_runs_on_two_hosts"),
    "redis.url = none": ("integration/campaign/test_sessions.py", "test_sockets_go_where_their_paths_are_short_enough"),
    "redis.url = given": (
        "integration/campaign/test_sessions.py",
        "test_of_two_campaigns_of_one_name_one_gets_the_server",
    ),
    "redis.url = redis": ("integration/campaign/test_redis_urls.py", "test_redis_with_a_database"),
    "redis.url = rediss": ("integration/campaign/test_redis_urls.py", "test_rediss"),
    "redis.url = unix": ("integration/campaign/test_redis_urls.py", "test_unix"),
}


@cache
def functions_of(file: str) -> frozenset[str]:
    """Names of the test functions in a file."""
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def test_table_has_every_variant() -> None:
    """A variant that is new needs a test that runs it before it is documented."""
    schemes = {f"redis.url = {scheme}" for scheme in REDIS_SCHEMES}
    assert set(RUN_BY) == {*variants_of(Campaign), *schemes}


@pytest.mark.parametrize("variant", RUN_BY)
def test_variant_has_its_test(variant: str) -> None:
    """The test that is named is there."""
    file, name = RUN_BY[variant]
    assert name in functions_of(file)
